"""A run is named by when it was saved, if nothing else has that name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploybench.cli import main
from deploybench.errors import FileError
from deploybench.records import store
from tests.unit.saved_runs import save


@pytest.fixture
def storage(tmp_path) -> Path:
    """Three runs on two platforms; the one with the smallest number was saved last."""
    folder = tmp_path / "storage"
    for age, name in enumerate(("one/0001_last", "two/0007_main-1", "one/0002_first")):
        path = save(folder / f"{name}.json", {("resnet18", "eager"): [0.01 * (age + 1)] * 3})
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    return folder


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("latest", "0001_last"),
        ("-1", "0001_last"),
        ("-2", "0007_main-1"),
        ("-3", "0002_first"),
        ("main-1", "0007_main-1"),
        ("0002", "0002_first"),
    ],
)
def test_a_run_is_found_by_its_age_or_its_name(storage, name, expected):
    assert [path.stem for path in store.find([name], str(storage))] == [expected]


@pytest.mark.parametrize("name", ["-4", "-0", "-99999", "--1", "newest"])
def test_an_age_that_no_run_has_is_refused(storage, name):
    with pytest.raises(FileError, match="is neither a file nor a run in"):
        store.find([name], str(storage))


def test_a_run_that_is_called_latest_is_found_by_its_name(storage):
    path = save(storage / "one" / "0009_latest.json", {("resnet18", "eager"): [0.01]})
    os.utime(path, (1, 1))
    assert store.find(["latest"], str(storage)) == [path]


def test_the_command_takes_an_age_for_a_run(storage, capsys):
    assert main(["table", "-2", "--storage", str(storage)]) == 0
    assert "20.00" in capsys.readouterr().out
