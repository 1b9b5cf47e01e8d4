"""All results as one short text in Markdown, for a pull request or the summary of a CI job.

GitHub takes comments of up to 65,536 characters. Imports no torch.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..analysis.cells import TIMED, Cell
from ..analysis.labels import DISTURBED
from ..analysis.overview import Overview
from ..analysis.regression import INCONCLUSIVE, NOT_COMPARABLE, SAME, VERDICTS
from ..analysis.trends import Trend
from . import history, markdown, numbers, sentences
from .markdown import escaped_row, heading, line, text
from .rows import HEADER
from .tables import Table

LIMIT = 60_000
"""The most bytes of a summary, so that others can add a heading or a link to it."""
SHARE_OF_CHANGED = 0.7
"""The most that the cells that changed may take of it, so that there is room for others."""
CONSTANT = (SAME, INCONCLUSIVE, NOT_COMPARABLE)
"""The verdicts of cells of which no change is known."""

Rows = Sequence[Sequence[str]]


def render(overview: Overview, further: Sequence[str] = ()) -> str:
    """The verdicts, the cells that changed and what to ship; then, folded, all other cells.

    further: parts that follow, each of which is left out if there is no room for it.
    """
    last = _fitting(further)
    limit = LIMIT - _size(last)
    parts = [_answer(overview), _troubles(overview)]
    if overview.gate is not None:
        verdicts = heading(overview.gate)
        cells = sorted(overview.gate.cells, key=lambda cell: VERDICTS.index(cell.verdict))
        changed = [escaped_row(cell) for cell in cells if cell.verdict not in CONSTANT]
        others = [escaped_row(cell) for cell in cells if cell.verdict in CONSTANT]
        room = int(SHARE_OF_CHANGED * limit) - _size([*verdicts, *parts])
        parts = [*verdicts, _table(HEADER, changed, room), *parts]
        parts.append(_folded("All other cells", HEADER, others, limit - _size(parts)))
    title = "Median latency in milliseconds"
    parts.append(_folded(title, *_latencies(overview), limit - _size(parts)))
    return "\n\n".join(filter(None, [*parts, *last])) + "\n"


def of_history(trends: Sequence[Trend], limit: int = LIMIT) -> str:
    """The table of the history, cells that changed first, in at most `limit` bytes."""
    table = history.table(sorted(trends, key=lambda trend: not trend.named))
    most = max(len(table.rows), *(len(section.lines) for section in table.sections), 0)
    kept = bisect_right(range(most), limit, key=lambda count: _bytes(_first(table, count + 1)))
    return _first(table, kept)


def _first(table: Table, count: int) -> str:
    """The table with its first rows, and the first lines of each section."""
    left_out = [len(each) - count for each in (table.rows, *(s.lines for s in table.sections))]
    more = sum(max(0, number) for number in left_out)
    notes = (f"{more} more rows and lines are only in the page.",) if more else ()
    return markdown.write(
        replace(
            table,
            rows=table.rows[:count],
            notes=(*table.notes, *notes),
            sections=tuple(replace(each, lines=each.lines[:count]) for each in table.sections),
        )
    )


def _fitting(further: Sequence[str]) -> list[str]:
    """The parts that half of the summary has room for, and how many it has none for."""
    fitting: list[str] = []
    for part in further:
        if _size([*fitting, part]) <= LIMIT // 2:
            fitting.append(part.strip())
    left_out = len(further) - len(fitting)
    if left_out:
        fitting.append(
            f"{left_out} further tables are too long to be shown here; the page has them."
        )
    return fitting


def _answer(overview: Overview) -> str:
    found = []
    for answer in overview.answers:
        headline = sentences.headline(answer)
        ship = f"**Ship {text(headline.backend)}.** " if headline.backend else ""
        label = f"{text(answer.label.strip())}: " if answer.label else ""
        found.append(f"{label}{ship}{text(headline.words)}")
    return "\n\n".join([*found, text(sentences.checked(overview))])


def _troubles(overview: Overview) -> str:
    found = sentences.troubles(overview)
    lines = [
        f"- {each.kind}: {text(sentences.through(overview, each))}: "
        f"{text(sentences.several(each.models))}. {text(each.reason)}"
        for each in found[: sentences.MOST_NAMES]
    ]
    more = len(found) - len(lines)
    return "\n".join([*lines, *([f"- and {more} more reasons"] if more > 0 else [])])


def _latencies(overview: Overview) -> tuple[list[str], Rows]:
    header = ["Model", *(text(column.title) for column in overview.columns)]
    rows = [
        [text(model), *(_latency(cell) for cell in overview.row(model))]
        for model in overview.models
    ]
    return header, rows


def _latency(cell: Cell) -> str:
    if cell.state != TIMED:
        return cell.state if cell.failures else "-"
    mark = f"\\{DISTURBED}" if cell.disturbed else ""
    return f"{numbers.significant(cell.latency_ms)}{mark}{text(cell.mark)}"


def _folded(title: str, header: Sequence[str], rows: Rows, room: int) -> str:
    """A table that a click unfolds, in `room` bytes."""
    if not rows:
        return ""
    table = _table(header, rows, room - 200)
    return f"<details><summary>{title}</summary>\n\n{table}\n\n</details>"


def _table(header: Sequence[str], rows: Rows, room: int) -> str:
    """The table, and how many rows are left out because they need more than `room` bytes."""
    if not rows:
        return ""
    lines = [line(header), line(["---"] * len(header))]
    shown = 0
    while shown < len(rows) and _size([*lines, line(rows[shown])]) <= room:
        lines.append(line(rows[shown]))
        shown += 1
    left_out = len(rows) - shown
    if left_out:
        lines += ["", f"{left_out} more rows are only in the page and the runs."]
    return "\n".join(lines if shown else lines[-1:])


def _bytes(part: str) -> int:
    return len(part.encode())


def _size(parts: Iterable[str]) -> int:
    return sum(_bytes(part) + 2 for part in parts)
