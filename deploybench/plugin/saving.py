"""Saves a run's results: to the journal at once, and in the end as a whole by pytest-benchmark.

This module adds everything to the saved run that pytest-benchmark does not know; see
records/record.py for the list.
"""

from __future__ import annotations

import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .. import __version__
from ..backends import registry
from ..errors import FileError, UsageError, WrongAnswer, first_line, printable_lines
from ..machine.packages import installed_versions
from ..models.model import file_stem
from ..records import checkpoint, reading
from ..records.checkpoint import Journal
from ..records.kinds import OF_ANOTHER_TEST
from ..records.record import (
    FAILED,
    FORMAT,
    WRONG,
    CaseRecord,
    FailedCase,
    Noise,
    Notice,
    Peak,
    RunRecord,
)
from . import TIMED
from .folding import folded, width_of
from .writing import Written


@dataclass
class Saving:
    """The state of saving one run.

    storage: the folder of saved runs. name: of the run; empty if it is not saved. unfinished: the
    journal of what was measured so far. failed: the cases without a figure. notices: observations
    of the machine. noise: of it before and after. taken_over: by model, backend and batch size,
    what the resumed run had measured. peak: the peak rates of the device. options: those that
    repeat the run. ended: the ids of the timed tests that have an outcome.
    """

    storage: Path
    name: str
    resumed: Path | None
    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    fingerprint: Mapping[str, Any] | None = None
    unfinished: Journal | None = None
    failed: list[FailedCase] = field(default_factory=list)
    notices: Sequence[Notice] = ()
    noise: Noise | None = None
    taken_over: dict[tuple[str, str, int], CaseRecord] = field(default_factory=dict)
    peak: Peak | None = None
    options: Mapping[str, Any] | None = None
    ended: set[str] = field(default_factory=set)
    _entered: set[tuple[str, str | None, int | None]] = field(default_factory=set)
    _unwritten: dict[str, list[CaseRecord]] = field(default_factory=dict)

    def begin(self, fingerprint: Mapping[str, Any]) -> None:
        """Open the journal; with --resume, that of the interrupted run.

        Raises UsageError if that run was made under other conditions.
        """
        self.fingerprint = fingerprint
        if self.resumed:
            self._take_over(self.resumed, fingerprint)
        elif not self.name:
            return
        folder = self.resumed or checkpoint.new_folder(self.storage, self.name)
        self.unfinished = Journal(folder, self.record())

    def record(self) -> RunRecord:
        """The record of the run as a whole, without its cases."""
        return RunRecord(
            self.unfinished.folder if self.unfinished else self.storage,
            self.fingerprint,
            identity=self.run,
            failed=tuple(self.failed),
            peak=self.peak,
            notices=tuple(self.notices),
            noise=self.noise,
            options=self.options,
            version=__version__,
        )

    def enter(self, case: CaseRecord) -> bool:
        """Whether the saved run does not contain this case yet; from now on, it counts as saved.

        Two tests may measure the same case, but a run with a duplicate case is invalid.
        """
        key = case.model, case.backend, case.batch_size
        is_new = key not in self._entered
        self._entered.add(key)
        return is_new

    def put(self, model: str, batch_size: int, cases: Mapping[str, CaseRecord]) -> None:
        """Write a model's cases, by backend, to the journal, replacing earlier ones."""
        if self.unfinished is None:
            return
        self._unwritten[f"{file_stem(model)}-batch{batch_size}"] = list(cases.values())
        # A full disk is no fault of the backends; there may be room again after the next model.
        with suppress(FileError):
            for name in list(self._unwritten):
                self.unfinished.put(name, self._unwritten[name])
                del self._unwritten[name]

    def is_empty(self) -> bool:
        """Whether the run has measured nothing: then nothing can be continued."""
        return not self._unwritten and (self.unfinished is None or self.unfinished.is_empty())

    def not_in(self, paths: Sequence[Path]) -> list[CaseRecord]:
        """The cases of the journal, and those that it had no room for, that no file of `paths` has.

        Raises FileError if a file or the journal cannot be read.
        """
        assert self.unfinished is not None
        saved = {_figure(case) for path in paths for case in reading.read(path).cases}
        begun = [*checkpoint.read(self.unfinished.folder).cases]
        begun += [case for cases in self._unwritten.values() for case in cases]
        return [case for case in begun if _figure(case) not in saved]

    def _take_over(self, folder: Path, fingerprint: Mapping[str, Any]) -> None:
        checkpoint.lock(folder)  # before it is read, so that it stays what was read
        try:
            begun = checkpoint.read(folder)
        except FileError as error:
            raise FileError(
                f"--resume {folder.name}: {error}; leave out --resume to start a new run"
            ) from error
        used = begun.packages
        conditions = {"format": begun.format, **(begun.fingerprint or {}), **used}
        required = {"format": FORMAT, **fingerprint, **installed_versions(used)}
        differing = sorted(
            name for name in {*conditions, *required} if conditions.get(name) != required.get(name)
        )
        if differing:
            raise UsageError(
                f"--resume {folder.name}: that run was made with another {', '.join(differing)}; "
                "start a new one"
            )
        self.run = begun.identity or self.run
        for case in begun.cases:
            if case.backend and case.batch_size:
                self.taken_over[case.model, case.backend, case.batch_size] = case


def _figure(case: CaseRecord) -> tuple[object, ...]:
    return case.model, case.backend, case.batch_size, case.samples_seconds


SAVING = pytest.StashKey[Saving]()


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Determine where this run will be saved."""
    option = config.option
    storage = Path(str(option.benchmark_storage).removeprefix("file://"))
    saves = option.benchmark_save or option.benchmark_autosave or option.benchmark_json
    resume = config.getoption("resume")
    try:
        resumed = checkpoint.find(storage, resume) if resume is not None else None
    except UsageError as error:
        raise pytest.UsageError(printable_lines(str(error))) from None
    except OSError as error:
        raise pytest.UsageError(f"'{error.filename}': {error.strerror}") from None
    if resumed and not saves:
        raise pytest.UsageError(
            "--resume continues a run that will be saved; give --benchmark-save too"
        )
    if resumed and not (option.collectonly or hasattr(config, "workerinput")):
        try:
            checkpoint.lock(resumed)
        except UsageError as error:
            raise pytest.UsageError(str(error)) from None
    name = (option.benchmark_save or "run") if saves else ""
    config.stash[SAVING] = Saving(storage, name, resumed)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note the failed cases for the saved run."""
    report = yield
    timed = item.config.stash.get(TIMED, {}).get(item.nodeid)
    if timed and (call.when == "call" or not report.passed):
        item.config.stash[SAVING].ended.add(item.nodeid)
    if timed and report.failed and report.when != "teardown":
        model, backend, batch_size = timed
        column = registry()[backend].title
        # __init__.py raises pytest's failure while handling the original error.
        cause = call.excinfo and call.excinfo.value.__context__
        kind = WRONG if isinstance(cause, WrongAnswer) else FAILED
        reason = _reason(call, report)
        failure = FailedCase(model, column, reason, kind, backend=backend, batch_size=batch_size)
        failed = item.config.stash[SAVING].failed
        if failure not in failed:
            failed.append(failure)
    return report


def _reason(call: pytest.CallInfo[None], report: pytest.TestReport) -> str:
    """Why a case failed, in one line: never the first line of a traceback."""
    error = call.excinfo and call.excinfo.value
    if error is None or isinstance(error, pytest.fail.Exception):
        lines = str(report.longrepr if error is None else error.msg).strip().splitlines()
        return lines[0] if lines else report.outcome
    return first_line(error)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(
    config: pytest.Config, machine_info: dict[str, Any]
) -> None:
    """Add the fingerprint."""
    # --benchmark-compare asks for it before the run is configured.
    saving = config.stash.get(SAVING, None)
    if saving is not None and saving.fingerprint is not None:
        machine_info |= saving.record().to_json()["machine_info"]


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Add the record of the run as a whole."""
    timed = config.stash.get(TIMED, {})
    for bench in output_json["benchmarks"]:
        if bench["fullname"] not in timed:
            bench["extra_info"] = {**bench["extra_info"], OF_ANOTHER_TEST: True}
    output_json["deploybench"] = config.stash[SAVING].record().to_json()["deploybench"]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    """Save before anything else ends, so that what fails later can neither lose nor hide a run."""
    saving, config = session.config.stash[SAVING], session.config
    benchmarks = getattr(config, "_benchmarksession", None)
    journal = saving.unfinished
    said = [] if journal is None or saving.is_empty() else [journal.hint()]
    try:
        if journal is not None and benchmarks is not None:
            timed = config.stash.get(TIMED, {})
            whole = timed.keys() <= saving.ended
            try:
                said = _save(saving, journal, benchmarks, whole=whole)
            except Exception as error:
                session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
                words = str(error) if isinstance(error, OSError) else first_line(error)
                said = [f"the run could not be saved: {words}", *said]
            # pytest-benchmark's own hook then only makes its table.
            benchmarks.handle_saving = lambda: None
        return (yield)
    finally:
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        for line in said:
            if reporter:
                reporter.write_line(f"\n{line}", red="could not be" in line)


def _save(saving: Saving, journal: Journal, benchmarks: Any, *, whole: bool) -> list[str]:
    """Save the run, and remove the journal if that holds all of it; what to tell the user.

    whole: whether every case has an outcome, so that nothing is left to be continued. Raises
    OSError or FileError if the run cannot be saved.
    """
    said = []
    written = Written(benchmarks)
    with ExitStack() as stack:
        try:
            stack.enter_context(checkpoint.one_at_a_time(saving.storage))
        except OSError as error:
            # Some network file systems have no locks. Saving matters more than a unique number.
            said.append(f"saved without a lock ({error}); do not save another run at the same time")
        benchmarks.handle_saving()
    if not (whole or saving.is_empty()):
        return [*said, journal.hint()]
    try:
        left = saving.not_in(written.paths)
    except FileError as error:
        return [*said, f"the saved run could not be read back: {error}", journal.hint()]
    if left:
        models = ", ".join(dict.fromkeys(case.model for case in left))
        return [*said, f"not in the saved run, and kept in the journal: {models}", journal.hint()]
    journal.remove()
    return said


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List what was observed on the machine, and what was taken of files of weights."""
    if notices := terminalreporter.config.stash[SAVING].notices:
        terminalreporter.section("notices")
        for notice in notices:
            terminalreporter.write_line(folded(notice.line(), width_of(terminalreporter)))
