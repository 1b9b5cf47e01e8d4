"""A run is found by path, number, name or glob, or by when it was saved."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytest_benchmark.utils import get_machine_id

from deploybench.cli import main
from deploybench.errors import FileError, UsageError
from deploybench.records import store
from tests.unit.saved_runs import save


@pytest.fixture
def aged(tmp_path) -> Path:
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
def test_a_run_is_found_by_its_age_or_its_name(aged, name, expected):
    assert [path.stem for path in store.find([name], str(aged))] == [expected]


@pytest.mark.parametrize("name", ["-4", "-0", "-99999", "--1", "newest"])
def test_an_age_that_no_run_has_is_refused(aged, name):
    with pytest.raises(FileError, match="is neither a file nor a run in"):
        store.find([name], str(aged))


def test_a_run_that_is_called_latest_is_found_by_its_name(aged):
    path = save(aged / "one" / "0009_latest.json", {("resnet18", "eager"): [0.01]})
    os.utime(path, (1, 1))
    assert store.find(["latest"], str(aged)) == [path]


def test_the_command_takes_an_age_for_a_run(aged, capsys):
    assert main(["table", "-2", "--storage", str(aged)]) == 0
    assert "20.00" in capsys.readouterr().out


@pytest.fixture
def storage(tmp_path):
    folder = tmp_path / "storage"
    for name in ("0001_run1", "0002_run2", "0003_other", "0010_run10"):
        save(folder / get_machine_id() / f"{name}.json", {("alexnet", "eager"): [0.001]})
    save(folder / "Other-CPython-3.9-64bit" / "0004_far.json", {("alexnet", "eager"): [0.001]})
    return folder


@pytest.mark.parametrize(
    ("names", "stems"),
    [
        (["0001"], ["0001_run1"]),
        (["0002", "0001"], ["0002_run2", "0001_run1"]),
        (["run1"], ["0001_run1"]),
        (["run?"], ["0001_run1", "0002_run2"]),
        (["*run*"], ["0001_run1", "0002_run2", "0010_run10"]),
        (["0004"], ["0004_far"]),
        (["Other*/*"], ["0004_far"]),
        (["0001", "0001"], ["0001_run1"]),
        ([f"{get_machine_id()}/0003"], ["0003_other"]),
    ],
)
def test_runs_are_found_by_number_name_or_glob(storage, names, stems):
    assert [path.stem for path in store.find(names, str(storage))] == stems


def test_a_path_is_a_path(storage, tmp_path):
    path = save(tmp_path / "mine.json", {("alexnet", "eager"): [0.001]})
    assert store.find([str(path)], str(storage)) == [path]


def test_the_same_run_by_three_names_is_one_run(storage, tmp_path):
    (path,) = store.find(["0001"], str(storage))
    link = tmp_path / "link.json"
    link.symlink_to(path)
    assert store.find(["run1", str(path), str(link)], str(storage)) == [path]


def test_storage_is_given_as_pytest_benchmark_takes_it(storage):
    assert store.find(["0001"], f"file://{storage}") == store.find(["0001"], str(storage))
    with pytest.raises(UsageError, match="give a folder"):
        store.find(["0001"], "elasticsearch+http://host/index/type")


@pytest.mark.parametrize("name", ["0009", "run", "", "/none.json", "a/b/c.json", "a**b", ".."])
def test_a_missing_run_is_named_with_those_that_exist(storage, name):
    with pytest.raises(FileError, match="is neither a file nor a run in") as caught:
        store.find([name], str(storage))
    assert str(caught.value).startswith(f"'{name}'")
    assert "the runs there: 0001_run1, 0002_run2" in str(caught.value)


def test_looking_for_runs_makes_no_folder(tmp_path):
    with pytest.raises(FileError, match="the runs there: none"):
        store.find(["0001"], str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()
