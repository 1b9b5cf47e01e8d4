"""The gate's report as Markdown, for a pull request. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from ..analysis.regression import Report
from .rows import HEADER, counts, row, shown


def gate_report(report: Report, everything: bool = False) -> str:
    """The counts, then a table of the cells that are not the same, or of all cells."""
    cells = shown(report, everything)
    lines = [f"**{counts(report)}**", ""]
    lines += [f"Not comparable, since these differ: `{each}`\n" for each in report.differences]
    if cells:
        lines += [_line(HEADER), _line(["---"] * len(HEADER))]
        lines += [_line(row(cell)) for cell in cells]
    return "\n".join(lines) + "\n"


def _line(fields: Iterable[str]) -> str:
    return f"| {' | '.join(field.replace('|', chr(92) + '|') for field in fields)} |"
