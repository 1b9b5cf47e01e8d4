"""One line per timed case: progress, model, backend and median."""

from __future__ import annotations

from typing import Any

import pytest

LATENCY_PROPERTY = "latency"


class Progress:
    """Writes the lines; registered as a plugin if a run has timed cases.

    cases: model, backend and batch size of each timed test, by its node id.
    """

    def __init__(
        self, reporter: pytest.TerminalReporter, cases: dict[str, tuple[str, str, int]]
    ) -> None:
        self._reporter = reporter
        self._cases = cases
        self._finished = 0
        self._model_width = max(len(model) for model, _, _ in cases.values())
        self._backend_width = max(len(backend) for _, backend, _ in cases.values())
        self._several_sizes = len({size for _, _, size in cases.values()}) > 1

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
        before = "\n" if named or self._finished == 1 else ""
        after = "" if named or self._finished == len(self._cases) else "\n"
        self._reporter.write(f"{before}{place} {case}  {self._outcome(report)}{after}")

    @staticmethod
    def _outcome(report: pytest.TestReport) -> str:
        properties: dict[str, Any] = dict(report.user_properties)
        if report.passed and LATENCY_PROPERTY in properties:
            return str(properties[LATENCY_PROPERTY])
        if report.skipped and isinstance(report.longrepr, tuple):
            return f"skipped: {report.longrepr[2].removeprefix('Skipped: ')}"
        return report.outcome
