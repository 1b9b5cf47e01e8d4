"""The forest plots of a report's page: speed-ups and the gate's verdicts. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from ..analysis.answers import Mean
from ..analysis.cells import ABSENT, TIMED, Cell
from ..analysis.overview import Overview
from ..analysis.regression import FASTER, SLOWER
from ..analysis.regression import Cell as Verdict
from ..analysis.speedup import Speedup
from . import numbers
from .svg import Drawing, LogAxis, log_axis

WIDTH, ROW, TOP, BOTTOM = 414, 22, 8, 34
# Between these lies the axis; the names are left of it, and the figures right.
START, END = 132, 272
NAME_ROOM = 20
PARTIAL = "\u2020"
"""Marks a mean over some of the models."""
FASTER_CSS, SLOWER_CSS, EVEN_CSS = "fast", "slow", "even"
# Beyond these, an interval ends in an arrow.
SMALLEST, LARGEST = 0.02, 50.0


@dataclass(frozen=True)
class Row:
    """One line of a forest plot. css: of its mark; a row without a figure has only words.

    band: the tolerance around 1, as bounds.
    """

    name: str
    words: str
    css: str = EVEN_CSS
    middle: float | None = None
    low: float | None = None
    high: float | None = None
    band: tuple[float, float] | None = None


def means(overview: Overview, chosen: Sequence[Mean]) -> Markup:
    """The geometric means of all columns."""
    rows = []
    for mean in chosen:
        part = "" if mean.complete else f"{PARTIAL} "
        rows.append(_speedup_row(part + mean.column.title, mean.speedup))
    return forest(rows, speedup_axis(overview), "Geometric mean of the speed-ups", "times eager")


def of_model(overview: Overview, model: str) -> Markup:
    """The speed-ups of one model."""
    rows = [
        _row(cell)
        for cell in overview.row(model)
        if not cell.column.is_baseline and cell.state != ABSENT
    ]
    label = f"Speed-ups of {model} against eager"
    return forest(rows, speedup_axis(overview), label, "times eager")


def speedup_axis(overview: Overview) -> LogAxis:
    """One axis for all speed-ups, so that the plots can be compared by eye."""
    found = [cell.speedup for cell in overview.cells.values() if cell.speedup]
    values = [bound for each in found for bound in (each.low, each.ratio, each.high) if bound]
    return log_axis([1.0, *(min(max(value, SMALLEST), LARGEST) for value in values)], START, END)


def _row(cell: Cell) -> Row:
    if cell.state != TIMED:
        return Row(cell.column.title, f"{cell.state}: no figure")
    if cell.speedup is None:
        return Row(cell.column.title, "no pair with eager")
    return _speedup_row(cell.column.title, cell.speedup)


def _speedup_row(name: str, speedup: Speedup) -> Row:
    css = EVEN_CSS
    if not speedup.holds_one:
        css = FASTER_CSS if speedup.ratio > 1 else SLOWER_CSS
    known = speedup.low is not None and speedup.high is not None
    bounds = numbers.interval(speedup).replace(" to ", "\u2013") if known else "no interval"
    # There is no room for both, and the table below has the interval too.
    after = speedup.unproven or f" [{bounds}]"
    words = f"{numbers.significant(speedup.ratio)}{'*' if speedup.disturbed else ''}{after}"
    return Row(name, words, css, speedup.ratio, speedup.low, speedup.high)


def verdicts(cells: Sequence[Verdict], axis: LogAxis, model: str) -> Markup:
    """The gate's verdicts of one model, as the candidate's time relative to the baseline's."""
    rows = [_verdict_row(cell) for cell in cells]
    return forest(rows, axis, f"Verdicts of {model} against the baseline", "times the baseline")


def verdict_axis(cells: Sequence[Verdict]) -> LogAxis:
    """One axis for all verdicts."""
    values = [1.0, 0.9, 1.1]
    for effect in (cell.effect for cell in cells):
        if effect is not None:
            values += [
                math.exp(min(max(each, -1.5), 1.5))
                for each in (effect.estimate, effect.low, effect.high)
                if math.isfinite(each)
            ]
    return log_axis(values, START, END)


def _verdict_row(cell: Verdict) -> Row:
    if cell.effect is None:
        return Row(cell.column, cell.verdict)
    css = {FASTER: FASTER_CSS, SLOWER: SLOWER_CSS}.get(cell.verdict, EVEN_CSS)
    low, middle, high = (
        math.exp(min(max(each, -9.0), 9.0))
        for each in (cell.effect.low, cell.effect.estimate, cell.effect.high)
    )
    words = f"{numbers.change(cell.effect.estimate)} {cell.verdict}"
    limit = 1 + (cell.tolerance or 0.0)
    row = Row(cell.column, words, css, middle, band=(1 / limit, limit))
    return replace(row, low=low, high=high) if math.isfinite(cell.effect.low) else row


def forest(rows: Sequence[Row], axis: LogAxis, label: str, unit: str) -> Markup:
    """Intervals on a logarithmic axis with a line at 1."""
    height = TOP + ROW * len(rows)
    drawing = Drawing(WIDTH, height + BOTTOM, label, "forest")
    ticks = [(axis.at(tick), tick) for tick in axis.ticks(6)]
    drawing.paths([[(place, TOP), (place, height)] for place, _ in ticks], "grid")
    for place, tick in ticks:
        drawing.text((place, height + 14), numbers.compact(tick), "tick across")
    drawing.text(((START + END) / 2, height + 29), unit, "axis across")
    drawing.line((axis.at(1), TOP - 4), (axis.at(1), height + 3), "one")
    for number, row in enumerate(rows):
        _draw(drawing, row, axis, TOP + ROW * (number + 0.5))
    return drawing.markup()


def _draw(drawing: Drawing, row: Row, axis: LogAxis, height: float) -> None:
    drawing.text((START - 10, height + 4), row.name, "name", room=NAME_ROOM)
    drawing.text((END + 10, height + 4), row.words, f"figure {row.css}", room=22)
    if row.middle is None:
        return
    if row.band is not None:
        left, right = (axis.at(bound) for bound in row.band)
        drawing.box((left, height - 8), right - left, 16, "band")
    if row.low is not None and row.high is not None:
        _bar(drawing, (row.low, row.high), axis, height, row.css)
    drawing.circle((axis.at(row.middle), height), 4.5, f"dot {row.css}")


def _bar(
    drawing: Drawing, bounds: tuple[float, float], axis: LogAxis, height: float, css: str
) -> None:
    """An interval; an end that lies beyond the axis is an arrow."""
    left, right = (axis.at(bound) for bound in bounds)
    inside = [axis.least <= bound <= axis.most for bound in bounds]
    if all(inside):
        drawing.interval(left, right, height, f"bar {css}")
        return
    strokes = [[(left, height), (right, height)]]
    for end, back, ends in ((left, 5, inside[0]), (right, -5, inside[1])):
        tip = [(end, height - 4), (end, height + 4)]
        arrow = [(end + back, height - 4), (end, height), (end + back, height + 4)]
        strokes.append(tip if ends else arrow)
    drawing.paths(strokes, f"bar {css}")
