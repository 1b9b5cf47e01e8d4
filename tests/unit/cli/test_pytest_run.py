"""What bench and check make of their words, and that they run from any folder."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploybench.cli import _pytest_run, bench
from tests.unit.python_process import run_python

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "tests" / "unit" / "data"


def words_for_pytest(*words: str) -> list[str]:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    bench.add_arguments(parser)
    return _pytest_run.words_for_pytest(_pytest_run.parse(parser, list(words)))


def test_words_before_the_first_option_are_models_and_the_rest_goes_to_pytest():
    given = ["resnet18", "vgg11", "-k", "not cpp", "--device", "cpu", "--cold-start", "-x"]
    expected = ["--models=resnet18,vgg11", "--device=cpu", "--cold-start", "-k", "not cpp", "-x"]
    assert words_for_pytest(*given) == expected


def test_what_was_not_given_is_left_to_the_plugin():
    assert words_for_pytest() == []
    assert words_for_pytest("--benchmark-max-time=1") == ["--benchmark-max-time=1"]


def test_models_given_twice_are_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        words_for_pytest("resnet18", "--models", "vgg11")
    assert "the models are given twice: resnet18 and --models" in capsys.readouterr().err


def test_a_run_is_found_in_the_file_that_was_named_in_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    record = json.loads((DATA / "saved_run_0.2.0.json").read_text())
    named = Path("results/run.json")
    saved = _pytest_run.Saved()
    options = SimpleNamespace(benchmark_storage="none", benchmark_json=named)
    saved.pytest_benchmark_update_json(SimpleNamespace(option=options), record)
    named.write_text(json.dumps(record))
    assert saved.path() == named


@pytest.fixture
def command(tmp_path):
    """A function that runs the command in a folder whose own pytest files would break a run."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (tmp_path / "conftest.py").write_text("raise RuntimeError('not yours')\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTEST_ADDOPTS", None)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return run_python(["-m", "deploybench", *words], tmp_path, environment)

    return run


def test_bench_ends_with_the_table_and_where_the_run_is(command, tmp_path):
    ran = command(
        *("bench", "squeezenet1_1", "--backends=eager", "--device=cpu", "--save=mine"),
        *("--benchmark-max-time=0.01", "--benchmark-min-rounds=2"),
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    *_, title, _, row, _, last = ran.stdout.splitlines()
    assert title.split() == ["Model", "PyTorch"]
    assert row.startswith("squeezenet1_1 ")
    (saved,) = tmp_path.rglob("0001_mine.json")
    assert last == f"median latency in milliseconds; saved: {saved.relative_to(tmp_path)}"
    # What its marks mean may follow.
    assert command("table", "mine").stdout.splitlines()[2] == row


def test_check_checks_and_saves_nothing(command, tmp_path):
    ran = command("check", "squeezenet1_1", "--backends=eager", "--device=cpu")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout
    assert not list(tmp_path.rglob("*.json"))


def test_the_exit_code_and_the_error_are_those_of_pytest(command):
    ran = command("bench", "resnet81")
    assert ran.returncode == 4
    assert "unknown model 'resnet81': did you mean 'resnet18'?" in ran.stderr
    assert "Traceback" not in ran.stderr
