"""What becomes of a journal: nothing of it is removed before a saved run holds it."""

from __future__ import annotations

import multiprocessing
from types import SimpleNamespace

import pytest
from pytest_benchmark.logger import Logger
from pytest_benchmark.storage.file import FileStorage

from deploybench.errors import FileError, UsageError
from deploybench.plugin import TIMED, saving
from deploybench.plugin.saving import SAVING, Saving
from deploybench.records import checkpoint, reading
from deploybench.records.record import CaseRecord, RunRecord
from deploybench.runner.fingerprint import Value

FINGERPRINT: dict[str, Value] = {"threads": 2}


def case(model, backend="eager", seconds=0.001, **more):
    return CaseRecord(model, backend, backend, 0, (seconds,), batch_size=1, **more)


def begun(storage, *cases, resumed=None):
    """A run that has measured `cases`."""
    run = Saving(storage, "run1", resumed)
    run.begin(FINGERPRINT)
    for model in dict.fromkeys(each.model for each in cases):
        run.put(model, 1, {each.backend: each for each in cases if each.model == model})
    return run


class Session:
    """A session of pytest at its end; `saved` are the cases that pytest-benchmark would write."""

    def __init__(self, run, saved, timed=(), content=None):
        self.lines = []
        self.exitstatus = 0
        reporter = SimpleNamespace(write_line=lambda line, **_: self.lines.append(line.strip()))
        stash = {SAVING: run, TIMED: dict.fromkeys(timed)}
        storage = FileStorage(run.storage, Logger(Logger.QUIET))
        record = RunRecord(run.storage, FINGERPRINT, tuple(saved), identity=run.run)
        benchmarks = SimpleNamespace(storage=storage, json=None, logger=storage.logger)
        benchmarks.handle_saving = lambda: (
            storage.save(content or record.to_json(), "run1") if saved else None
        )
        self.config = SimpleNamespace(
            stash=stash,
            _benchmarksession=benchmarks,
            pluginmanager=SimpleNamespace(get_plugin=lambda _: reporter),
        )

    def finish(self, then=lambda: None):
        hook = saving.pytest_sessionfinish(self)
        next(hook)
        with pytest.raises(StopIteration):
            try:
                then()
            except RuntimeError as error:
                hook.throw(error)
            hook.send(None)
        return self.lines


def saved_cases(storage):
    paths = [path for path in storage.rglob("*run1.json")]
    return [each for path in paths for each in reading.read(path).cases]


def test_a_journal_is_removed_once_a_saved_run_holds_all_of_it(tmp_path):
    both = case("a"), case("b")
    run = begun(tmp_path, *both)
    assert Session(run, both).finish() == []
    assert [each.model for each in saved_cases(tmp_path)] == ["a", "b"]
    assert list((tmp_path / "unfinished").iterdir()) == []


@pytest.mark.parametrize(
    "saved",
    [[], [case("a")], [case("a"), case("b", seconds=0.002)], [case("a"), case("b", "scripted")]],
    ids=["nothing", "another model", "another figure", "another backend"],
)
def test_a_journal_stays_while_a_part_of_it_is_in_no_saved_run(tmp_path, saved):
    run = begun(tmp_path, case("a"), case("b"))
    lines = Session(run, saved).finish()
    folder = run.unfinished.folder
    assert lines[-1].endswith(f"continue with --resume {folder.name}")
    assert lines[-2].startswith("not in the saved run, and kept in the journal: ")
    assert [each.model for each in reading.read(folder).cases] == ["a", "b"]


def test_a_journal_stays_if_the_saved_run_does_not_read_back(tmp_path):
    run = begun(tmp_path, case("a"))
    lines = Session(run, [case("a")], content={"benchmarks": []}).finish()
    assert lines[0].startswith("the saved run could not be read back: ")
    assert [each.model for each in reading.read(run.unfinished.folder).cases] == ["a"]


def test_a_case_without_an_outcome_leaves_the_journal_to_be_continued(tmp_path):
    run = begun(tmp_path, case("a"))
    run.ended.add("test[a]")
    assert "--resume" in Session(run, [case("a")], ["test[a]", "test[b]"]).finish()[-1]
    assert run.unfinished.folder.exists()


def test_a_run_that_has_measured_nothing_leaves_no_journal_and_no_hint(tmp_path):
    run = begun(tmp_path)
    assert Session(run, [], ["test[a]"]).finish() == []
    assert not run.unfinished.folder.exists()


def test_what_fails_after_the_save_prints_no_hint_and_saves_nothing_again(tmp_path):
    run = begun(tmp_path, case("a"))
    session = Session(run, [case("a")])

    def histogram():
        raise RuntimeError("no module pygal")

    hook = saving.pytest_sessionfinish(session)
    next(hook)
    session.config._benchmarksession.handle_saving()
    with pytest.raises(RuntimeError):
        hook.throw(RuntimeError("no module pygal"))
    assert session.lines == []
    assert len(saved_cases(tmp_path)) == 1
    assert not run.unfinished.folder.exists()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), AssertionError("no")])
def test_a_run_that_cannot_be_saved_is_one_line_and_lets_pytest_go_on(tmp_path, error):
    run = begun(tmp_path, case("a"))
    session = Session(run, [])

    def full():
        raise error

    session.config._benchmarksession.handle_saving = full
    lines = session.finish()
    words = "AssertionError: no" if isinstance(error, AssertionError) else "[Errno 28] No space"
    assert lines[0].startswith(f"the run could not be saved: {words}")
    assert session.exitstatus == pytest.ExitCode.INTERNAL_ERROR


def test_a_run_that_was_not_written_whole_leaves_no_file_and_its_number_free(tmp_path, monkeypatch):
    run = begun(tmp_path, case("a"))

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        (line, _) = Session(run, [case("a")]).finish()
    assert line.endswith("0001_run1.json cannot be written: No space left on device")
    assert not list(tmp_path.rglob("*run1.json"))
    Session(run, [case("a")]).finish()
    assert [path.name for path in tmp_path.rglob("*run1.json")] == ["0001_run1.json"]


def test_what_an_earlier_process_measured_is_kept_when_other_backends_are_timed(tmp_path):
    first = begun(tmp_path, case("a"), case("a", "scripted"))
    folder = first.unfinished.folder
    second = begun(tmp_path, case("a", "cpp"), case("a", seconds=0.002), resumed=folder)
    assert {each.backend for each in checkpoint.read(folder).cases} == {"cpp", "eager"}
    aside = reading.read(folder.with_name(f"{folder.name}-earlier"))
    assert [(each.backend, each.samples_seconds) for each in aside.cases] == [
        ("eager", (0.001,)),
        ("scripted", (0.001,)),
    ]
    assert aside.identity == f"{first.run}-earlier"
    # What this process measures again replaces its own.
    second.put("a", 1, {"eager": case("a", seconds=0.003)})
    assert [each.samples_seconds for each in checkpoint.read(folder).cases] == [(0.003,)]


def test_what_replaces_all_of_an_earlier_process_is_alone_then(tmp_path):
    folder = begun(tmp_path, case("a")).unfinished.folder
    begun(tmp_path, case("a", seconds=0.002), resumed=folder)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_journal_without_room_does_not_fail_the_case_and_is_written_later(tmp_path, monkeypatch):
    run = begun(tmp_path)

    def full(*_):
        raise FileError("it cannot be written: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run.unfinished, "put", full)
        run.put("a", 1, {"eager": case("a")})
        assert [each.model for each in run.not_in([])] == ["a"]
    run.put("b", 1, {"eager": case("b")})
    models = [each.model for each in reading.read(run.unfinished.folder).cases]
    assert models == ["a", "b"]


def _resume(folder, answers):
    try:
        Saving(folder.parents[1], "run1", folder).begin(FINGERPRINT)
        answers.put("resumed")
    except UsageError as error:
        answers.put(str(error))


def test_one_process_at_a_time_writes_to_a_journal(tmp_path):
    run = begun(tmp_path, case("a"))
    folder = run.unfinished.folder
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    for release in (lambda: None, lambda: checkpoint.unlock(folder)):
        release()
        other = context.Process(target=_resume, args=(folder, answers))
        other.start()
        other.join()
    refused, after = answers.get(timeout=5), answers.get(timeout=5)
    assert refused.startswith(f"--resume {folder.name}: ")
    assert "another process (id " in refused
    assert refused.endswith("or start a new one without --resume")
    assert after == "resumed"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (
            pytest.fail.Exception("different: far off\nagain: pytest", pytrace=False),
            "different: far off",
        ),
    ],
)
def test_the_reason_of_a_failure_is_the_error_and_not_a_line_of_its_traceback(error, reason):
    call = SimpleNamespace(excinfo=SimpleNamespace(value=error))
    report = SimpleNamespace(longrepr="model = 'shufflenet_v2_x0_5'\n...", outcome="failed")
    assert saving._reason(call, report) == reason
