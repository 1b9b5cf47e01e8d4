"""Small multiples of a history: a plot for each cell, its latency above its ratio to eager.

Every plot has the runs in the order of the code from left to right. A line ends where the
conditions change, since figures on both sides are not compared. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from markupsafe import Markup

from ..analysis.trends import LATENCY, RATIO, Trend
from ..records.history import Point
from . import numbers
from .svg import Drawing, LogAxis, Place, log_axis

WIDTH, START, END = 414, 46, 404
PANEL, GAP, TOP, BOTTOM = 84, 20, 14, 20
FIGURES: dict[str, tuple[str, Callable[[Point], float | None]]] = {
    LATENCY: ("ms", lambda point: point.latency_ms),
    RATIO: ("times eager's time", lambda point: point.ratio),
}


@dataclass(frozen=True)
class Panel:
    """The part of a plot that shows one measure. values: by the index of their point."""

    measure: str
    values: dict[int, float]
    axis: LogAxis


def of(trend: Trend, most_points: int) -> Markup:
    """The plot of a cell. most_points: with more, one stands for several runs in a row."""
    panels = _panels(trend)
    height = TOP + len(panels) * PANEL + (len(panels) - 1) * GAP
    name = f"{trend.cell.model}, {trend.title}{trend.mark}"
    drawing = Drawing(WIDTH, height + BOTTOM, f"{name}: {len(trend.points)} runs", "trend")
    for panel in panels:
        _grid(drawing, panel)
        for each in trend.breaks:
            place = _across(trend, each.index - 0.5)
            ends = (place, panel.axis.end - 4), (place, panel.axis.start)
            drawing.line(*ends, "break", ", ".join(each.differences)[:300])
        for part in _parts(trend, panel):
            _draw(drawing, trend, panel, part, most_points)
        for step in trend.steps_of(panel.measure):
            place = _across(trend, step.index - 0.5)
            css = f"step {'slow' if step.is_slower else 'fast'}"
            drawing.line((place, panel.axis.end - 4), (place, panel.axis.start), css)
            words = numbers.change(step.effect.estimate)
            side = "after" if place > (START + END) / 2 else "before"
            drawing.text(
                (place + (-4 if side == "after" else 4), panel.axis.end + 8),
                words,
                css + f" {side}",
            )
    first, last = trend.points[0].run, trend.points[-1].run
    drawing.text((START, height + 15), first.name, "tick", room=24)
    drawing.text((END, height + 15), last.name, "tick after", room=24)
    return drawing.markup()


def _panels(trend: Trend) -> list[Panel]:
    found = []
    top = TOP
    for measure, (_, figure) in FIGURES.items():
        known = ((index, figure(point)) for index, point in enumerate(trend.points))
        values = {index: value for index, value in known if value is not None}
        if values:
            axis = log_axis(values.values(), top + PANEL, top, 1.03)
            found.append(Panel(measure, values, axis))
            top += PANEL + GAP
    return found


def _across(trend: Trend, index: float) -> float:
    """The place of a run, by its number."""
    last = max(1, len(trend.points) - 1)
    return START + (END - START) * min(max(index, 0.0), last) / last


def _grid(drawing: Drawing, panel: Panel) -> None:
    axis = panel.axis
    ticks = [(axis.at(tick), tick) for tick in axis.ticks(4)]
    drawing.paths([[(START, place), (END, place)] for place, _ in ticks], "grid")
    for place, tick in ticks:
        drawing.text((START - 6, place + 4), numbers.compact(tick), "tick after")
    drawing.text((START, axis.end - 4), FIGURES[panel.measure][0], "axis")


def _parts(trend: Trend, panel: Panel) -> list[list[int]]:
    """The indices between which neither the conditions nor the level change."""
    ends = {each.index for each in trend.breaks}
    ends |= {step.index for step in trend.steps_of(panel.measure)}
    bounds = sorted({0, len(trend.points), *ends})
    parts = [
        [index for index in range(first, last) if index in panel.values]
        for first, last in pairwise(bounds)
    ]
    return [part for part in parts if part]


def _draw(
    drawing: Drawing, trend: Trend, panel: Panel, part: Sequence[int], most_points: int
) -> None:
    """A stretch of runs, with its level."""
    axis, values = panel.axis, panel.values
    count = max(2, most_points * len(part) // len(trend.points))
    places: list[Place] = []
    for group in _groups(part, count):
        middle = median(values[index] for index in group)
        places.append((_across(trend, median(group)), axis.at(middle)))
    drawing.path(places, "run-line")
    drawing.dots(places, "runs")
    level = axis.at(median(values[index] for index in part))
    drawing.line((_across(trend, part[0]), level), (_across(trend, part[-1]), level), "level")


def _groups(part: Sequence[int], count: int) -> list[Sequence[int]]:
    """The indices in at most `count` groups of neighbours."""
    size = -(-len(part) // count)
    return [part[start : start + size] for start in range(0, len(part), size)]
