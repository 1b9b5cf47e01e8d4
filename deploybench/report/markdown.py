"""Tables and the gate's report as Markdown, for a pull request. Imports no torch."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from ..analysis.regression import Cell, Report
from ..errors import printable
from .rows import HEADER, counts, row, shown
from .tables import Table, View


def write(table: Table, view: View | None = None) -> str:
    """A table without its empty columns; figures are aligned right."""
    table = table.without_empty()
    title = [f"**{text(table.title)}**"] if table.title else []
    parts = [*title, *map(text, table.before)]
    if table.rows:
        rule = ("---:" if table.is_figure(place) else "---" for place in range(len(table.header)))
        lines = [line(map(text, table.header)), line(rule)]
        parts.append("\n".join([*lines, *(line(map(text, row)) for row in table.rows)]))
    parts += map(text, table.notes)
    for section in table.sections:
        parts.append(
            "\n".join([text(section.title), "", *(f"- {text(each)}" for each in section.lines)])
        )
    return "\n\n".join(parts) + "\n"


def gate_report(report: Report, everything: bool = False, view: View | None = None) -> str:
    """The counts, then a table of the cells that are not the same, or of all cells."""
    cells = shown(report, everything)
    paragraphs = [f"{each}\n" for each in heading(report)]
    table = []
    if cells:
        table = [line(HEADER), line(["---"] * len(HEADER))]
        table += [line(escaped_row(cell)) for cell in cells]
    return "\n".join([*paragraphs, *table]) + "\n"


def heading(report: Report) -> list[str]:
    """The counts, and how the conditions of the two sides differ, a paragraph each."""
    differing = [f"Not comparable, since these differ: {code(each)}" for each in report.differences]
    return [f"**{counts(report)}**", *differing]


def line(fields: Iterable[str]) -> str:
    """One row of a table."""
    return f"| {' | '.join(fields)} |"


def escaped_row(cell: Cell) -> list[str]:
    """The fields of a cell; text from a run is shown as it is, whatever is in it."""
    model, column, baseline, candidate, effect, verdict, note = row(cell)
    return [text(model), text(column), baseline, candidate, effect, verdict, text(note)]


def text(given: str) -> str:
    """`given` as it is, whatever is in it."""
    marked = re.sub(r"([\\`|\[*~])", r"\\\1", html.escape(printable(given), quote=False))
    # Within a word underscores mean nothing, and names are full of them.
    marked = re.sub(r"(?<!\w)_+|_+(?!\w)", lambda found: r"\_" * len(found[0]), marked)
    return marked.replace("@", "&#64;")  # nobody is called to a pull request


def code(given: str) -> str:
    """`given` between more backticks than it has in a row."""
    given = printable(given)
    fence = "`" * (1 + max(map(len, re.findall("`+", given)), default=0))
    space = " " if given.startswith("`") or given.endswith("`") else ""
    return f"{fence}{space}{given}{space}{fence}"
