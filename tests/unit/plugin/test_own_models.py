"""A user's own models in pytest: measured where they are good, one line each where they are not."""

from __future__ import annotations

import json
import os
import re

import pytest

from deploybench.models import references
from deploybench.plugin.scheduling import models_by_case, scope
from deploybench.runner.options import RunOptions
from tests.unit.own_models import BAD, WHAT_IS_SAID
from tests.unit.plugin import ROOT
from tests.unit.python_process import run_python

HERE = "tests.unit.own_models"


@pytest.fixture
def run_in(tmp_path):
    """A function that runs the suite's pytest from another folder."""

    def run(*arguments, test="tests/perf"):
        command = ["-m", "pytest", "-c", str(ROOT / "pytest.ini")]
        command += [f"--rootdir={ROOT}", "-p", "no:cacheprovider", str(ROOT / test)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        environment.pop("CI", None)
        return run_python([*command, *arguments], tmp_path, environment)

    return run


@pytest.mark.parametrize("test", ["tests/perf", "tests/correctness"])
def test_all_bad_models_at_once_get_one_line_each(run_pytest, test):
    ran = run_pytest(
        test, f"--models={HERE}:BAD,{HERE}:FIRST", "--backends=eager", "--benchmark-max-time=0"
    )
    assert f"{len(BAD)} failed, 1 passed" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr
    for name, words in WHAT_IS_SAID.items():
        lines = [line for line in ran.stdout.splitlines() if line.startswith(f"{name} ")]
        assert len(lines) == 1
        # tests/correctness has more inputs.
        assert words.removeprefix(name) in re.sub(r"(shape \[|batch of )4", r"\g<1>2", lines[0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([f"--models={HERE}:make_tinny"], "(did you mean 'make_tiny'?)"),
        ([f"--models={HERE}:needs_arguments", "--input=5"], "needs arguments (width, depth)"),
        ([f"--models={HERE}:make_tiny"], "for example --input 3x224x224"),
        (["--models=resnet18", "--input=5"], "--input 5 is for models named as MODULE:CALLABLE"),
        (["--models=resnet18", "--input=5x"], "'5x' is not a shape"),
        (["--task=clasification"], "unknown task 'clasification': did you mean 'classification'"),
        (["--labels=none.txt"], "--labels 'none.txt' cannot be read"),
    ],
)
def test_what_cannot_be_selected_ends_the_run_before_any_test(run_pytest, arguments, words):
    ran = run_pytest("tests/perf", *arguments)
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert words in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
    assert "Traceback" not in ran.stdout + ran.stderr


@pytest.mark.slow
def test_a_callable_that_prints_is_measured_with_cold_starts_from_another_folder(run_in, tmp_path):
    saved, own = tmp_path / "run.json", tmp_path / "nets"
    own.mkdir()
    (own / "__init__.py").touch()
    (own / "deploy.py").write_text(f"from {HERE} import Prints\nprint('importing')\n")
    ran = run_in(
        *("--models=nets.deploy:Prints", "--input=3x32x32", "--task=embedding", "--cold-start"),
        *("--backends=eager,traced", "--benchmark-max-time=0", f"--benchmark-json={saved}"),
    )
    assert "2 passed" in ran.stdout, ran.stdout + ran.stderr
    for bench in json.loads(saved.read_text())["benchmarks"]:
        assert bench["params"]["model"] == "Prints"
        assert bench["extra_info"]["cold_start_seconds"] > 0


def test_options_come_from_the_command_line_then_the_ini_then_the_project(run_in, tmp_path):
    (tmp_path / "nets.py").write_text(f"from {HERE} import FIRST, SEVERAL\n")
    (tmp_path / "pyproject.toml").write_text(
        "[tool.deploybench]\nmodels = ['nets.py', 'vgg11']\nbackends = ['cpp', 'eager']\n"
    )
    below = tmp_path / "below"
    below.mkdir()

    def ids(*arguments):
        ran = run_in("--collect-only", "-q", *arguments)
        return re.findall(r"\[(.*)\]", ran.stdout) or ran.stderr

    names = ["first-one", "second", "third", "vgg11"]
    assert ids() == [f"{name}-{backend}" for name in names for backend in ("cpp", "eager")]
    assert ids("--models=resnet18") == ["resnet18-cpp", "resnet18-eager"]
    assert ids("-o", "backends=eager", "-o", "models=vgg11") == ["vgg11-eager"]
    (tmp_path / "pyproject.toml").write_text("[tool.deploybench]\nmodel = 'resnet18'\n")
    assert "unknown option 'model': did you mean 'models'" in ids()


def test_a_wrong_answer_of_an_own_model_comes_with_the_line_that_repeats_it(run_pytest):
    ran = run_pytest(
        *("tests/correctness", f"--models={HERE}:make_tiny", "--input=3x32x32"),
        *("--backends=wrong", "--weights=random"),
    )
    (line,) = (line for line in ran.stdout.splitlines() if line.startswith("again: "))
    assert f"--models {HERE}:make_tiny --input 3x32x32 --backends wrong" in line


@pytest.mark.slow
def test_under_xdist_models_with_hyphens_stay_on_one_worker(run_pytest):
    ran = run_pytest(
        *("tests/correctness", "-v", "-n2", f"--models={HERE}:FIRST,{HERE}:SEVERAL"),
        *("--backends=eager,scripted,frozen-cpp", "--threads=1"),
    )
    placed = re.findall(r"\[(gw\d)\].*test_top5\[(first-one|second|third)-", ran.stdout)
    assert len(placed) == 9, ran.stdout
    assert len(set(placed)) == 3


def test_names_with_hyphens_are_not_cut():
    run = RunOptions(
        references.select(f"{HERE}:FIRST,{HERE}:SEVERAL"),
        ["cpp", "frozen-cpp"],
        batch_sizes=(1, 8),
    )
    models = models_by_case(run)
    assert scope("f.py::t[first-one-frozen-cpp-batch8]", models) == "f.py::t[first-one"
    assert scope("f.py::t[second-cpp-batch1]", models) == "f.py::t[second"
    assert scope("f.py::other[a-b]", models) == "f.py::other[a-b]"
    assert scope("f.py::other", models) == "f.py::other"
