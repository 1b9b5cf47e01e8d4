"""The cells of the gate's report as rows of text, for formats with a table. Imports no torch."""

from __future__ import annotations

from ..analysis.regression import SAME, VERDICTS, Cell, Report
from .tables import Table

HEADER = ["Model", "Backend", "Baseline", "Candidate", "Effect", "Verdict", "Note"]


def shown(report: Report, everything: bool) -> list[Cell]:
    """The cells to list: those that are not the same or not within their budget, or all cells."""
    return [cell for cell in report.cells if everything or cell.verdict != SAME or cell.unproven]


def counts(report: Report) -> str:
    """How many cells got each verdict, the worst first."""
    found = report.counts
    parts = [f"{found[verdict]} {verdict}" for verdict in VERDICTS if found[verdict]]
    return f"{len(report.cells)} cells: {', '.join(parts) or 'none'}"


def table(report: Report, everything: bool = False) -> Table:
    """The cells that are not the same, or all cells; above them, why nothing can be compared."""
    rows = [HEADER, *map(row, shown(report, everything))]
    return Table.of(
        rows,
        names=2,
        words=frozenset({"Verdict"}),
        below=frozenset({"Note"}),
        optional=frozenset({"Note"}),
        title="Verdicts of the gate",
        before=tuple(f"not comparable, since these differ: {each}" for each in report.differences),
        notes=(counts(report),),
    )


def row(cell: Cell) -> list[str]:
    """The fields of a cell, in the order of HEADER."""
    figures = [_milliseconds(each) for each in (cell.baseline, cell.candidate)]
    return [cell.model, cell.column, *figures, _effect(cell), cell.verdict, cell.note or "-"]


def _milliseconds(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.2f} ms"


def _effect(cell: Cell) -> str:
    return "-" if cell.effect is None else str(cell.effect)
