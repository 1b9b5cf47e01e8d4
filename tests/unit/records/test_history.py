"""The index of saved runs: always what the files say, whatever happened to it."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from deploybench.errors import FileError
from deploybench.records import history, history_index, history_update
from tests.unit import recorded_history as recorded


def ratio(case, eager) -> float:
    return case.latency_ms / eager.latency_ms


def load(storage: Path, **options) -> history.Recorded:
    return history.load(storage, ratio, **options)


def latencies(found: history.Recorded) -> dict[str | None, list[float]]:
    return {
        each.cell.backend: [round(point.latency_ms, 6) for point in each.points]
        for each in found.cells
    }


@pytest.fixture
def storage(tmp_path) -> Path:
    recorded.save_all(tmp_path / "runs", [10, 20, 30], [5, 6, 7])
    return tmp_path / "runs"


@pytest.fixture
def parsed(monkeypatch) -> list[str]:
    """The names of the files that are parsed from now on."""
    names: list[str] = []
    parse = history_update._parse

    def noted(content, path):
        names.append(path.name)
        return parse(content, path)

    monkeypatch.setattr(history_update, "_parse", noted)
    return names


ALL = {"eager": [10, 20, 30], "cpp": [5, 6, 7]}


def test_a_figure_of_reduced_precision_keeps_its_status(storage):
    path = next(storage.rglob("0003_run.json"))
    content = json.loads(path.read_text())
    verdict = {"precision": "int8", "status": "not judged", "reason": "", "budget": "agreement>=1"}
    content["benchmarks"][1]["extra_info"]["reduced"] = verdict
    path.write_text(json.dumps(content))
    marks = {each.cell.backend: [p.mark for p in each.points] for each in load(storage).cells}
    assert marks == {"eager": ["", "", ""], "cpp": ["", "", " [NOT JUDGED]"]}


def test_every_cell_has_its_figures_in_the_order_of_the_code(storage):
    found = load(storage)
    assert latencies(found) == ALL
    assert (found.runs, found.problems) == (3, ())
    eager, cpp = found.cells
    assert [point.ratio for point in eager.points] == [None] * 3
    assert [point.ratio for point in cpp.points] == pytest.approx([0.5, 0.3, 7 / 30])
    point = cpp.points[1]
    assert (point.run.name, point.run.commit, point.run.branch) == (
        "0002_run",
        recorded.commit(2),
        "main",
    )
    assert json.loads(point.condition) == {"cpu": "some processor", "gpu": None, "torch": "2.14.1"}
    assert dict(cpp.cell.settings) == {"threads": 2}


def test_only_new_and_changed_files_are_parsed(storage, parsed, monkeypatch):
    monkeypatch.setattr(history_update, "TICK_NS", 0)
    load(storage)
    assert len(parsed) == 3
    parsed.clear()
    load(storage)
    assert parsed == []
    path = recorded.save(storage, 4, {"eager": 40, "cpp": 8})
    changed = recorded.save(storage, 2, {"eager": 21, "cpp": 6})
    (touched,) = storage.glob("*/0003_run.json")
    touched.touch()
    assert latencies(load(storage)) == {"eager": [10, 21, 30, 40], "cpp": [5, 6, 7, 8]}
    assert sorted(parsed) == sorted([path.name, changed.name])


def test_a_change_that_keeps_size_and_time_is_noticed(storage, monkeypatch):
    monkeypatch.setattr(history_update, "TICK_NS", 0)
    load(storage)
    (path,) = storage.glob("*/0002_run.json")
    before = path.stat()
    path.write_text(path.read_text().replace("[0.018, 0.02, ", "[0.058, 0.05, "))
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert latencies(load(storage))["eager"] == [10, 50, 30]


def test_removed_runs_leave_the_index(storage):
    load(storage)
    for path in storage.glob("*/000[12]_run.json"):
        path.unlink()
    assert latencies(load(storage)) == {"eager": [30], "cpp": [7]}
    with sqlite3.connect(storage / history_index.INDEX) as index:
        assert index.execute("SELECT count(*) FROM points").fetchone() == (2,)
        assert index.execute("SELECT count(*) FROM files").fetchone() == (1,)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"not a database at all" * 500),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 40_000),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: _execute(path, "DROP TABLE points"),
        lambda path: _execute(path, "PRAGMA user_version = 999"),
    ],
    ids=["garbage", "cut off", "pages", "empty", "gone", "table", "another version"],
)
def test_a_damaged_index_is_made_anew(storage, damage):
    load(storage)
    damage(storage / history_index.INDEX)
    assert latencies(load(storage)) == ALL
    assert latencies(load(storage)) == ALL


def _execute(path: Path, statement: str) -> None:
    index = sqlite3.connect(path)
    index.execute(statement)
    index.commit()
    index.close()


def test_another_programs_database_is_never_removed(storage):
    _execute(storage / history_index.INDEX, "CREATE TABLE theirs (x)")
    for rebuild in (False, True):
        with pytest.raises(FileError, match=r"is not an index of deploybench; move it elsewhere"):
            load(storage, rebuild=rebuild)
    _execute(storage / history_index.INDEX, "SELECT * FROM theirs")


def test_a_rebuilt_index_says_the_same(storage, parsed):
    before = load(storage)
    parsed.clear()
    assert load(storage, rebuild=True) == before
    assert len(parsed) == 3


@pytest.mark.parametrize("indexed", [False, True], ids=["no index", "an index"])
def test_a_storage_that_cannot_be_written_is_read(storage, monkeypatch, parsed, indexed):
    monkeypatch.setattr(history_update, "TICK_NS", 0)
    if indexed:
        load(storage)
    parsed.clear()
    before = {path: path.stat().st_mtime_ns for path in storage.rglob("*")}

    def refuse(storage):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(history_index, "_locked", refuse)
    assert latencies(load(storage)) == ALL
    assert len(parsed) == (0 if indexed else 3)
    assert {path: path.stat().st_mtime_ns for path in storage.rglob("*")} == before


def test_a_damaged_index_that_cannot_be_written_does_no_harm(storage, monkeypatch):
    def refuse(storage):
        raise OSError(errno.EACCES, "Permission denied")

    (storage / history_index.INDEX).write_bytes(b"not a database at all" * 500)
    monkeypatch.setattr(history_index, "_locked", refuse)
    assert latencies(load(storage)) == ALL


def _loaded(storage: Path, rebuild: bool) -> object:
    return [latencies(load(storage, rebuild=rebuild)) for _ in range(5)][-1]


def test_several_processes_at_once_do_no_harm(storage):
    # No Pool of forked processes: it ends them by a signal, for which pytest has a handler.
    with ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as pool:
        loaded = [pool.submit(_loaded, storage, number == 0) for number in range(3)]
        assert [each.result() for each in loaded] == [ALL] * 3
    with sqlite3.connect(storage / history_index.INDEX) as index:
        assert index.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_process_that_was_killed_leaves_the_index_whole(storage, monkeypatch):
    def killed(*_):
        os._exit(9)

    load(storage)
    recorded.save(storage, 4, {"eager": 40, "cpp": 8})
    monkeypatch.setattr(history, "_read", killed)
    process = multiprocessing.get_context("fork").Process(target=load, args=(storage,))
    process.start()
    process.join(30)
    assert process.exitcode == 9
    monkeypatch.undo()
    assert latencies(load(storage)) == {"eager": [10, 20, 30, 40], "cpp": [5, 6, 7, 8]}


def test_a_run_that_is_there_twice_counts_once(storage):
    (path,) = storage.glob("*/0002_run.json")
    (storage / "copy.json").write_bytes(path.read_bytes())
    content = json.loads(path.read_bytes())
    content["benchmarks"].pop()
    (storage / "incomplete.json").write_text(json.dumps(content))
    assert latencies(load(storage)) == ALL


def test_runs_are_in_the_order_of_their_commits(tmp_path):
    """An old commit that is measured later comes before a newer one; changed code by its time."""
    first, second = ({"id": c * 40, "time": f"2026-01-0{n}T00:00:00Z"} for c, n in ("a1", "b2"))
    recorded.save(tmp_path, 5, {"eager": 2}, {**second, "dirty": False})
    recorded.save(tmp_path, 6, {"eager": 1}, {**first, "dirty": False})
    recorded.save(tmp_path, 7, {"eager": 3}, {**second, "dirty": False})
    recorded.save(tmp_path, 8, {"eager": 5}, {**first, "dirty": True})
    recorded.save(tmp_path, 7, {"eager": 4}, {"id": "unversioned", "time": None})
    assert latencies(load(tmp_path)) == {"eager": [1, 2, 4, 5]}
    assert [point.run.commit for point in load(tmp_path).cells[0].points][2] is None


def test_settings_make_other_cells_and_the_machine_does_not(tmp_path):
    recorded.save(tmp_path, 1, {"eager": 10}, threads=1)
    recorded.save(tmp_path, 2, {"eager": 20}, threads=2)
    recorded.save(tmp_path, 3, {"eager": 30}, threads=2, torch="2.15.0")
    one, two = load(tmp_path).cells
    assert (dict(one.cell.settings), dict(two.cell.settings)) == ({"threads": 1}, {"threads": 2})
    assert [json.loads(point.condition)["torch"] for point in two.points] == ["2.14.1", "2.15.0"]


def test_what_cannot_be_read_is_named_and_left_out(storage):
    (storage / "broken.json").write_text('{"machine_info": ')
    (storage / "newer.json").write_text(
        json.dumps({"machine_info": {"deploybench": {"format": 99, "version": "9.0"}}})
    )
    (storage / "link.json").symlink_to(storage / "nothing")
    (storage / "folder.json").mkdir()
    (storage / "theirs.json").write_text(json.dumps({"machine_info": {}, "benchmarks": []}))
    found = load(storage)
    assert latencies(found) == ALL
    broken, newer = found.problems
    assert "broken.json is not a whole saved run" in broken
    assert "newer.json has format 99" in newer
    (storage / "broken.json").unlink()
    assert len(load(storage).problems) == 1


def test_names_that_would_control_a_terminal_are_harmless(tmp_path):
    about = {"id": "abc\x1b[31m", "time": "never", "branch": "a\nb", "dirty": False}
    recorded.save(tmp_path, 1, {"eager": 1}, about)
    (point,) = load(tmp_path).cells[0].points
    assert (point.run.commit, point.run.branch) == (r"abc\x1b[31m", r"a\nb")


def test_a_failed_case_is_known_by_its_run(tmp_path):
    recorded.save(tmp_path, 1, {"eager": 1, "cpp": 2})
    path = recorded.save(tmp_path, 2, {"eager": 1})
    content = json.loads(path.read_text())
    failed = {"model": recorded.MODEL, "column": "TorchScript (C++)", "reason": "a\nb"}
    content["deploybench"]["failed"] = [{**failed, "kind": "wrong", "backend": "cpp"}]
    path.write_text(json.dumps(content))
    eager, cpp = load(tmp_path).cells
    assert eager.failures == ()
    (failure,) = cpp.failures
    assert (failure.run.name, failure.kind, failure.reason) == ("0002_run", "wrong", r"a\nb")


def test_only_what_is_wanted_and_recent_is_returned(storage):
    since = recorded.BEGIN.timestamp() + 2 * 86400
    found = load(storage, wanted=lambda cell: cell.backend == "cpp", since=since)
    assert latencies(found) == {"cpp": [6, 7]}


def test_a_storage_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(FileError, match="is not a folder; give the folder of saved runs"):
        load(tmp_path / "nothing")
