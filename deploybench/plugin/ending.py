"""The end of a run in the width of the terminal: reasons of failures, and the table of calls."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import pytest

from . import TIMED
from .folding import folded, width_of
from .other_plugins import given

COMMAND = "again: "
"""Begins a line that is to be copied, and stays whole."""
# The columns of pytest-benchmark's table, from the one that is needed most.
BY_WORTH = ("median", "iqr", "rounds", "min", "max", "mean", "stddev", "outliers", "ops")
# The widths that pytest-benchmark gives a column of figures, with the ratio behind each.
FIGURE, RATIO = 13, 10
SMALL = {"rounds": 8, "outliers": 10, "iterations": 12}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None, object, object]:
    """Fold the reasons of failures, and have pytest-benchmark print no more columns than fit.

    Columns that somebody chose are all printed.
    """
    width = width_of(terminalreporter)
    for outcome in ("failed", "error"):
        for report in terminalreporter.getreports(outcome):
            fold_reason(report, width)
    session = getattr(config, "_benchmarksession", None)
    if session is not None and config.stash.get(TIMED, {}):
        if given(config, "--benchmark-columns") is None:
            session.columns = fitting(session, width)
        display = session.display
        session.display = lambda reporter: display(Folding(reporter))
    return (yield)


def fold_reason(report: Any, width: int) -> None:
    """Fold the reason of a failure, if it has no traceback; a command stays whole."""
    trace = getattr(report.longrepr, "reprtraceback", None)
    for entry in getattr(trace, "reprentries", ()):
        if getattr(entry, "style", None) == "value":
            entry.lines = [
                part
                for line in entry.lines
                for part in (
                    [line] if line.startswith(COMMAND) else folded(line, width).splitlines()
                )
            ]


def fitting(session: Any, width: int) -> Sequence[str]:
    """The columns that fit, in pytest-benchmark's order."""
    names = [session.name_format(bench) for _, group in session.groups or () for bench in group]
    room = width - 3 - max(map(len, [*names, "Name (time in ms)"]))
    chosen: list[str] = []
    for column in (*BY_WORTH, "iterations"):
        if column not in session.columns:
            continue
        room -= SMALL.get(column, FIGURE + RATIO)
        if room < 0 and chosen:
            break
        chosen.append(column)
    return [column for column in session.columns if column in chosen]


class Folding:
    """A terminal reporter that folds lines of words, such as those of a legend."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self._reporter = reporter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reporter, name)

    def write_line(self, line: str, **markup: bool) -> None:
        """Write the line; words are indented by two spaces, and rows of a table are not."""
        width = width_of(self._reporter)
        if line.startswith("  ") and len(line) > width:
            line = folded(line, width)
        self._reporter.write_line(line, **markup)
