"""What a run is doing, how far it is, and when it will end; and one line for each timed case.

On a terminal, one line is written over again at each stage; elsewhere, there is one for each model.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from ..errors import printable
from ..runner.progress import PREPARING, Estimate, Stage
from .folding import folded, width_of

LATENCY_PROPERTY = "latency"


class Progress:
    """Writes the lines; registered as a plugin if a run has timed cases.

    cases: model, backend and batch size of each timed test, by its node id. bound: the seconds of
    timed calls that end a case. clock: in seconds.
    """

    def __init__(
        self,
        reporter: pytest.TerminalReporter,
        cases: dict[str, tuple[str, str, int]],
        bound: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reporter = reporter
        self._cases = cases
        self._clock = clock
        self._finished = 0
        self._is_open = True  # the line that pytest began with the name of the file
        self._is_live = False
        self._begun: tuple[str, int, float] | None = None
        counts = Counter((model, size) for model, _, size in cases.values())
        self._estimate = Estimate(dict(counts), bound)
        self._model_width = max(len(model) for model, _, _ in cases.values())
        self._backend_width = max(len(backend) for _, backend, _ in cases.values())
        self._several_sizes = len({size for _, _, size in cases.values()}) > 1

    def tell(self, stage: Stage) -> None:
        """Show what begins. Nothing is told while calls are timed."""
        if stage.doing == PREPARING:
            self._measured()
            self._begun = stage.model, stage.batch_size, self._clock()
        if self._reporter.verbosity > 0:
            return  # pytest names each test on a line that it leaves open
        with self._uncaptured():
            self._show_stage(stage)

    def _uncaptured(self) -> AbstractContextManager[None]:
        """A context in which what is written reaches the terminal, although a test is running."""
        capture = self._reporter.config.pluginmanager.get_plugin("capturemanager")
        return capture.global_and_fixture_disabled() if capture else nullcontext()

    def _show_stage(self, stage: Stage) -> None:
        size = f" at batch {stage.batch_size}" if self._several_sizes else ""
        place = f"{self._finished} of {len(self._cases)} cases done, {self._estimate}"
        if self._reporter.isatty:
            self._show_over(printable(f"{stage}{size}; {place}"))
        elif stage.doing == PREPARING:
            count = len(stage.backends)
            backends = "1 backend" if count == 1 else f"{count} backends"
            self._write(folded(f"{stage.model}{size}: {backends} begin; {place}", self._width))

    def _measured(self) -> None:
        """Note how long the model before took."""
        if self._begun is not None:
            model, size, since = self._begun
            self._estimate.add(model, size, self._clock() - since)
            self._begun = None

    def _show_over(self, line: str) -> None:
        """Show a line that the next one is written over."""
        if self._is_open:
            self._reporter.write("\n")
            self._is_open = False
        self._reporter.rewrite(line[: self._width - 1], erase=True)
        self._reporter.flush()
        self._is_live = True

    def _write(self, lines: str, end: str = "\n") -> None:
        """Write lines that stay."""
        if self._is_live:
            self._reporter.rewrite("", erase=True)
            self._reporter.write("\r")
            self._is_live = False
        self._reporter.write(f"{chr(10) if self._is_open else ''}{lines}{end}")
        self._is_open = not end

    @property
    def _width(self) -> int:
        return width_of(self._reporter)

    def pytest_report_teststatus(
        self, report: pytest.TestReport, config: pytest.Config
    ) -> tuple[str, str, str] | None:
        """Suppress the usual dot of a case that gets its own line."""
        if report.nodeid in self._cases and config.get_verbosity() == 0 and report.when == "call":
            return report.outcome, "", report.outcome.upper()
        return None

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write the line of a finished case."""
        ended = report.when == "call" or (report.when == "setup" and not report.passed)
        if report.nodeid not in self._cases or not ended:
            return
        self._measured()
        self._finished += 1
        model, backend, batch_size = self._cases[report.nodeid]
        size = f" batch {batch_size:<4}" if self._several_sizes else ""
        place = f"[{self._finished:{len(str(len(self._cases)))}}/{len(self._cases)}]"
        case = f"{model:<{self._model_width}}  {backend:<{self._backend_width}}{size}"
        # pytest appends its percentage to a line that is still open when the test has ended, on a
        # new line if it is long. So only the last line is left open. write_line is not used,
        # because pytest would then name the test's file again before each case. With --verbose,
        # pytest names each test on a line that it leaves open.
        named = self._reporter.verbosity > 0
        self._is_open |= named
        ends = named or self._finished == len(self._cases)
        lead = f"{place} {case}  "
        indent = " " * min(len(lead), self._width // 2)
        lines = folded(lead + self._outcome(report), self._width, indent)
        self._write(lines, "" if ends else "\n")

    @staticmethod
    def _outcome(report: pytest.TestReport) -> str:
        properties: dict[str, Any] = dict(report.user_properties)
        if report.passed and LATENCY_PROPERTY in properties:
            return str(properties[LATENCY_PROPERTY])
        if report.skipped and isinstance(report.longrepr, tuple):
            return f"skipped: {report.longrepr[2].removeprefix('Skipped: ')}"
        return report.outcome


PROGRESS = pytest.StashKey[Progress]()
