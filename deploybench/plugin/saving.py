"""What happens to a run's results: on the disk as they come, then saved whole by pytest-benchmark.

Everything that pytest-benchmark does not know goes into the saved run here; records/reading.py has
the list.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .. import __version__
from ..backends import registry
from ..errors import DeploybenchError, FileError, UsageError
from ..machine.packages import installed_versions
from ..records import checkpoint
from ..records.checkpoint import Journal
from ..records.reading import FORMAT
from . import TIMED

if TYPE_CHECKING:
    from ..machine.notices import MachineNoise, Notice
    from ..runner.scheduler import Result


@dataclass
class Saving:
    """One run's way to the disk.

    storage: the folder of saved runs. name: of the run; empty where nothing is to be saved.
    unfinished: what it has measured so far, on the disk. failed: the cells that gave no number,
    with the reason. notices: what was seen of the machine. noise: the machine's own, before and
    after. taken_over: by model, backend and batch size, what the run that this one goes on from
    had measured. peak: what the device does at best, as roofline.py has it.
    """

    storage: Path
    name: str
    resumed: Path | None
    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    fingerprint: Mapping[str, Any] | None = None
    unfinished: Journal | None = None
    failed: list[dict[str, str | int]] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    noise: tuple[MachineNoise, MachineNoise] | None = None
    taken_over: dict[tuple[str, str, int], Result] = field(default_factory=dict)
    peak: Mapping[str, float] | None = None

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
        self.unfinished = Journal(folder, self.header())

    def header(self) -> dict[str, Any]:
        """What a saved run says of itself, besides its cases."""
        return {
            "machine_info": {"deploybench": self.machine_info()},
            "deploybench": {"run": self.run, "failed": self.failed, "peak": self.peak},
        }

    def machine_info(self) -> dict[str, Any]:
        """What two runs must have in common to be compared, and the format they are written in."""
        return {"format": FORMAT, "version": __version__, "fingerprint": self.fingerprint}

    def put(self, model: str, batch_size: int, results: Mapping[str, Result]) -> None:
        """Put a model's results by backend on the disk, in place of those that it had there."""
        if self.unfinished is not None:
            cases = [
                {
                    "params": {"model": model, "backend": backend},
                    "stats": {"data": result.samples},
                    "options": {"timer": result.clock},
                    "extra_info": dict(result.extra_info),
                }
                for backend, result in results.items()
            ]
            self.unfinished.put(f"{model}-batch{batch_size}", cases)

    def _take_over(self, folder: Path, fingerprint: Mapping[str, Any]) -> None:
        from ..runner.scheduler import Result

        document = checkpoint.document(folder)
        try:
            self.run = document["deploybench"]["run"]
            about = document["machine_info"]["deploybench"]
            conditions = {"format": about["format"], **about["fingerprint"]}
            used: dict[str, str | None] = {}
            for case in document["benchmarks"]:
                params, info = case["params"], dict(case["extra_info"])
                samples, clock = tuple(case["stats"]["data"]), case["options"]["timer"]
                known = params["model"], params["backend"], info["batch_size"]
                used |= info["packages"]
                self.taken_over[known] = Result(samples, clock, info)
        except (KeyError, TypeError, ValueError) as error:
            raise FileError(
                f"--resume {folder.name}: it may have been edited ({error!r}); begin a new run"
            ) from error
        conditions |= used
        required = {"format": FORMAT, **fingerprint, **installed_versions(used)}
        differing = sorted(
            name for name in {*conditions, *required} if conditions.get(name) != required.get(name)
        )
        if differing:
            raise UsageError(
                f"--resume {folder.name}: that run was made with another {', '.join(differing)}; "
                "begin a new one"
            )


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
        item.config.stash[SAVING].failed.append(
            {
                "model": model,
                "backend": backend,
                "batch_size": batch_size,
                "column": column,
                "reason": reason,
            }
        )
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(
    config: pytest.Config, machine_info: dict[str, Any]
) -> None:
    """Add what makes this run comparable with another."""
    if config.stash[SAVING].fingerprint is not None:
        machine_info["deploybench"] = config.stash[SAVING].machine_info()


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Add what is known of the run as a whole."""
    saving = config.stash[SAVING]
    before, after = saving.noise or (None, None)
    output_json["deploybench"] = {
        "run": saving.run,
        "failed": saving.failed,
        "peak": saving.peak,
        "notices": [asdict(notice) for notice in saving.notices],
        "noise": {
            "before": asdict(before) if before else None,
            "after": asdict(after) if after else None,
        },
    }


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
