"""What happens to a run's results: on the disk as they come, then saved whole by pytest-benchmark.

Everything that pytest-benchmark does not know goes into the saved run here; records/record.py has
the list.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .. import __version__
from ..backends import registry
from ..errors import DeploybenchError, FileError, UsageError, WrongAnswer
from ..machine.packages import installed_versions
from ..records import checkpoint
from ..records.checkpoint import Journal
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


@dataclass
class Saving:
    """One run's way to the disk.

    storage: the folder of saved runs. name: of the run; empty where nothing is to be saved.
    unfinished: what it has measured so far, on the disk. failed: the cases that gave no number.
    notices: what was seen of the machine. noise: the machine's own, before and after. taken_over:
    by model, backend and batch size, what the run that this one goes on from had measured. peak:
    what the device does at best.
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
    _entered: set[tuple[str, str | None, int | None]] = field(default_factory=set)

    def begin(self, fingerprint: Mapping[str, Any]) -> None:
        """Open the journal; with --resume, the one of the run that was broken off.

        Raises UsageError where that run was made under other conditions.
        """
        self.fingerprint = fingerprint
        if self.resumed:
            self._take_over(self.resumed, fingerprint)
        elif not self.name:
            return
        folder = self.resumed or checkpoint.new_folder(self.storage, self.name)
        self.unfinished = Journal(folder, self.record())

    def record(self) -> RunRecord:
        """What is known of the run as a whole, without its cases."""
        return RunRecord(
            self.unfinished.folder if self.unfinished else self.storage,
            self.fingerprint,
            identity=self.run,
            failed=tuple(self.failed),
            peak=self.peak,
            notices=tuple(self.notices),
            noise=self.noise,
            version=__version__,
        )

    def enter(self, case: CaseRecord) -> bool:
        """Whether the saved run has yet to get this case; it then counts as being there.

        Two tests may ask for the same one, and a run that holds it twice is none.
        """
        key = case.model, case.backend, case.batch_size
        is_new = key not in self._entered
        self._entered.add(key)
        return is_new

    def put(self, model: str, batch_size: int, cases: Mapping[str, CaseRecord]) -> None:
        """Put a model's cases by backend on the disk, in place of those that it had there."""
        if self.unfinished is not None:
            self.unfinished.put(f"{model}-batch{batch_size}", list(cases.values()))

    def _take_over(self, folder: Path, fingerprint: Mapping[str, Any]) -> None:
        try:
            begun = checkpoint.read(folder)
        except FileError as error:
            raise FileError(
                f"--resume {folder.name}: {error}; without --resume a new run begins"
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
                "begin a new one"
            )
        self.run = begun.identity or self.run
        for case in begun.cases:
            if case.backend and case.batch_size:
                self.taken_over[case.model, case.backend, case.batch_size] = case


SAVING = pytest.StashKey[Saving]()


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Find out where this run is to be saved."""
    option = config.option
    storage = Path(str(option.benchmark_storage).removeprefix("file://"))
    saves = option.benchmark_save or option.benchmark_autosave or option.benchmark_json
    resume = config.getoption("resume")
    try:
        resumed = checkpoint.find(storage, resume) if resume is not None else None
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    if resumed and not saves:
        raise pytest.UsageError(
            "--resume goes on with a run to be saved: give --benchmark-save too"
        )
    name = (option.benchmark_save or "run") if saves else ""
    config.stash[SAVING] = Saving(storage, name, resumed)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note the cases that gave no number, so that the saved run can say so."""
    report = yield
    timed = item.config.stash.get(TIMED, {}).get(item.nodeid)
    if timed and report.failed and report.when != "teardown":
        model, backend, batch_size = timed
        lines = str(report.longrepr).strip().splitlines()
        reason = lines[0] if lines else report.outcome
        column = registry()[backend].title
        # What a test fails with was raised for an error of ours, as __init__.py has it.
        cause = call.excinfo and call.excinfo.value.__context__
        kind = WRONG if isinstance(cause, WrongAnswer) else FAILED
        failure = FailedCase(model, column, reason, kind, backend=backend, batch_size=batch_size)
        failed = item.config.stash[SAVING].failed
        if failure not in failed:
            failed.append(failure)
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(
    config: pytest.Config, machine_info: dict[str, Any]
) -> None:
    """Add what makes this run comparable with another."""
    saving = config.stash[SAVING]
    if saving.fingerprint is not None:
        machine_info |= saving.record().to_json()["machine_info"]


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Add what is known of the run as a whole."""
    output_json["deploybench"] = config.stash[SAVING].record().to_json()["deploybench"]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(
    session: pytest.Session, exitstatus: int
) -> Generator[None, object, object]:
    """Let pytest-benchmark save alone, then forget the journal; keep it where that failed."""
    saving = session.config.stash[SAVING]
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    kept = saving.unfinished
    try:
        if saving.unfinished is None:
            return (yield)
        with ExitStack() as stack:
            try:
                stack.enter_context(checkpoint.one_at_a_time(saving.storage))
            except OSError as error:
                # Some network file systems have no locks. Saving is worth more than its number.
                if reporter:
                    reporter.write_line(f"\nsaved without a lock, so save no other now: {error}")
            outcome = yield
        # The journal goes once nothing of the saved run is in memory alone.
        os.sync()
        ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        # With -x or --maxfail it ends so too, before its time.
        if ended and not (session.shouldfail or session.shouldstop):
            saving.unfinished.remove()
            kept = None
        return outcome
    except (OSError, DeploybenchError) as error:
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
        if reporter:
            reporter.write_line(f"\nthe run could not be saved: {error}", red=True)
        return None
    finally:
        if kept is not None and reporter:
            reporter.write_line(
                f"\nwhat was measured is in {kept.folder}; go on with --resume {kept.folder.name}"
            )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List what was seen of the machine."""
    notices = terminalreporter.config.stash[SAVING].notices
    if notices:
        terminalreporter.section("noise")
        for notice in notices:
            terminalreporter.write_line(notice.line())
