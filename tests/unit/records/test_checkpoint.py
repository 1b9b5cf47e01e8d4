"""A run on disk model by model, and what is read of it."""

from __future__ import annotations

import json
import multiprocessing
import re
import time

import pytest

from deploybench.errors import FileError, UsageError
from deploybench.records import checkpoint, reading, store
from deploybench.records.record import CaseRecord, RunRecord
from tests.unit import saved_runs

CASES = {("resnet18", "eager"): [0.1, 0.2, 0.3], ("resnet18", "cpp"): [0.1]}


def begin(folder, run="a1"):
    return checkpoint.Journal(folder, RunRecord(folder, saved_runs.FINGERPRINT, identity=run))


def case(model, backend, seconds):
    return CaseRecord.from_json(saved_runs.benchmark(model, backend, seconds), "the case")


def test_what_was_added_is_read_like_a_saved_run(tmp_path):
    under_way = begin(tmp_path / "unfinished" / "run1")
    cases = [case(*names, seconds) for names, seconds in CASES.items()]
    under_way.put("resnet18-batch1", cases[:1])
    under_way.put("resnet18-batch1", cases)
    read = reading.read(under_way.folder)
    assert {(case.model, case.backend): len(case.samples_seconds) for case in read.cases} == {
        ("resnet18", "eager"): 3,
        ("resnet18", "cpp"): 1,
    }
    assert read.identity == "a1"
    assert store.find([str(under_way.folder)], str(tmp_path)) == [under_way.folder]


def test_a_journal_that_is_there_keeps_its_header(tmp_path):
    begin(tmp_path / "run", run="first")
    begin(tmp_path / "run", run="second")
    assert checkpoint.read(tmp_path / "run").identity == "first"


def test_a_model_that_cannot_be_written_leaves_the_others(tmp_path, monkeypatch):
    under_way = begin(tmp_path / "run")
    under_way.put("resnet18-batch1", [case("resnet18", "eager", [0.1])])

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(FileError, match="cannot be written: No space left on device"):
        under_way.put("alexnet-batch1", [case("alexnet", "eager", [0.1])])
    assert [case.model for case in reading.read(under_way.folder).cases] == ["resnet18"]


@pytest.mark.parametrize("name", ["resnet18-batch1.json", "run.json"])
@pytest.mark.parametrize("text", ['[{"params": ', "3", "[" * 100_000])
def test_a_damaged_file_is_named(tmp_path, name, text):
    under_way = begin(tmp_path / "run")
    (under_way.folder / name).write_text(text)
    with pytest.raises(FileError, match=rf"{re.escape(name)} is damaged .*; remove it"):
        checkpoint.read(under_way.folder)


def test_a_folder_that_is_not_an_unfinished_run_is_named(tmp_path):
    with pytest.raises(FileError, match=r"is not an unfinished run: it has no run\.json"):
        reading.read(tmp_path)


def test_an_unfinished_run_is_found_by_its_name_or_named(tmp_path):
    folder = begin(checkpoint.new_folder(tmp_path, "run1")).folder
    assert checkpoint.find(tmp_path, folder.name) == folder
    assert checkpoint.find(tmp_path, str(folder)) == folder
    with pytest.raises(UsageError, match=f"the unfinished runs there: {folder.name}"):
        checkpoint.find(tmp_path, "run2")


def test_a_run_saved_to_two_places_is_one_process(tmp_path):
    saved = saved_runs.document(CASES)
    saved["deploybench"] = {"run": "a1", "failed": []}
    for name in ("one", "two"):
        (tmp_path / f"{name}.json").write_text(json.dumps(saved))
    under_way = begin(tmp_path / "run")
    under_way.put("resnet18-batch1", [case("resnet18", "eager", [0.1])])
    names = [str(tmp_path / name) for name in ("run", "one.json", "two.json")]
    (run,) = store.load(names)
    assert len(run.cases) == 2


def _hold(storage, order, name):
    with checkpoint.one_at_a_time(storage):
        order.put(f"{name} in")
        time.sleep(0.3)
        order.put(f"{name} out")


def test_two_runs_do_not_save_at_the_same_moment(tmp_path):
    context = multiprocessing.get_context("fork")
    order = context.Queue()
    both = [context.Process(target=_hold, args=(tmp_path, order, name)) for name in "ab"]
    for process in both:
        process.start()
    for process in both:
        process.join()
    seen = [order.get(timeout=5) for _ in range(4)]
    assert [word.split()[1] for word in seen] == ["in", "out", "in", "out"]
    assert seen[0][0] == seen[1][0]
