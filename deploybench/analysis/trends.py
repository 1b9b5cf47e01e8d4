"""The figures of each cell over time, and where they changed. Imports no torch.

Two series of a cell are searched for changes: the latency, and its ratio to eager in the same
process, which what the machine does to both does not change. Figures of different conditions, such
as another processor or version of torch, are never compared: where the conditions change, a series
has a break, and each condition is searched by itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from ..records.history import Cell, CellHistory, Failure, Point
from ..records.record import CaseRecord, Value
from ..records.reduced import worst_mark
from .change_points import FEWEST, Change, find
from .interval import Effect
from .paired_ratios import beside, round_figures

LATENCY, RATIO = "latency", "ratio"


def ratio(case: CaseRecord, eager: CaseRecord) -> float:
    """How many times eager's time a case took in the same process, round by round."""
    return math.exp(median(beside(round_figures(case), [round_figures(eager)])))


@dataclass(frozen=True)
class Break:
    """Where the conditions change. index: of the first point under the new ones.

    differences: what differs from the point before, in words.
    """

    index: int
    differences: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """A change of level. measure: LATENCY or RATIO. index: of the first point after it.

    earliest, latest: the indices between which it lies with the same confidence. before: the index
    of the last point before it under the same conditions. effect: in logarithms; positive if it
    became slower. p_value: of the permutation test.
    """

    measure: str
    index: int
    earliest: int
    latest: int
    before: int
    effect: Effect
    p_value: float

    @property
    def is_slower(self) -> bool:
        """Whether the cell became slower."""
        return self.effect.estimate > 0


@dataclass(frozen=True)
class Trend:
    """A cell over time. settings: those that tell it from other cells of its model and backend.

    points: in the order of the code. breaks, steps: in the order of points. failures: the runs in
    which it has no figure.
    """

    cell: Cell
    settings: str
    points: tuple[Point, ...]
    breaks: tuple[Break, ...] = ()
    steps: tuple[Step, ...] = ()
    failures: tuple[Failure, ...] = ()

    @property
    def title(self) -> str:
        """The title of its column, with the settings."""
        return self.cell.title + self.settings

    @property
    def latest(self) -> tuple[Point, ...]:
        """The points of the last commit under the last conditions; the last run's if not known."""
        last = self.points[-1]
        return tuple(point for point in self.points if _is_of(point, last))

    @property
    def mark(self) -> str:
        """The mark of its latest figures: the worst one of reduced precision; empty for others."""
        return worst_mark(point.status for point in self.latest)

    @property
    def is_failing(self) -> bool:
        """Whether the newest run has no figure of it."""
        newest = max((failure.run.order for failure in self.failures), default=None)
        return newest is not None and newest > self.points[-1].run.order

    def steps_of(self, measure: str) -> tuple[Step, ...]:
        """The steps of one measure."""
        return tuple(step for step in self.steps if step.measure == measure)

    @property
    def named(self) -> tuple[Step, ...]:
        """The steps that the code made: of the ratio, or of the latency if few points have one.

        Each series of one condition decides by itself, as the steps are found in each by itself.
        """
        ratios: dict[str, list[bool]] = {}
        for point in self.points:
            ratios.setdefault(point.condition, []).append(point.ratio is not None)
        by_ratio = {each for each, found in ratios.items() if 2 * sum(found) > len(found)}
        return tuple(
            step
            for step in self.steps
            if (step.measure == RATIO) == (self.points[step.index].condition in by_ratio)
        )


def _is_of(point: Point, last: Point) -> bool:
    run, other = point.run, last.run
    if other.commit is None or other.dirty or run.dirty:
        return point is last
    return run.commit == other.commit and point.condition == last.condition


def trends(histories: Sequence[CellHistory], confidence: float = 0.95) -> list[Trend]:
    """The trend of each cell.

    confidence: the probability that no step is found in any of them if nothing changed; also that
    of intervals. Each series has an equal share of the rest.
    """
    found = [
        _trend(history, text) for history, text in zip(histories, _settings(histories), strict=True)
    ]
    series = [
        (place, measure, indices)
        for place, trend in enumerate(found)
        for measure in (LATENCY, RATIO)
        for indices in _by_condition(trend.points, measure)
    ]
    share = (1 - confidence) / max(1, len(series))
    steps: dict[int, list[Step]] = {}
    for place, measure, indices in series:
        points = found[place].points
        figures = [math.log(_figure(points[index], measure) or 1) for index in indices]
        changes = find(figures, share, confidence)
        steps.setdefault(place, []).extend(_step(change, measure, indices) for change in changes)
    return [
        replace(trend, steps=tuple(sorted(steps.get(place, []), key=lambda step: step.index)))
        for place, trend in enumerate(found)
    ]


def _trend(history: CellHistory, settings: str) -> Trend:
    breaks = [
        Break(index, _differences(before.condition, after.condition))
        for index, (before, after) in enumerate(pairwise(history.points), start=1)
        if before.condition != after.condition
    ]
    return Trend(history.cell, settings, history.points, tuple(breaks), failures=history.failures)


def _figure(point: Point, measure: str) -> float | None:
    return point.latency_ms if measure == LATENCY else point.ratio


def _by_condition(points: Sequence[Point], measure: str) -> list[list[int]]:
    """The indices of the points that have a figure, by conditions."""
    found: dict[str, list[int]] = {}
    for index, point in enumerate(points):
        if _figure(point, measure) is not None:
            found.setdefault(point.condition, []).append(index)
    return [indices for indices in found.values() if len(indices) >= 2 * FEWEST]


def _step(change: Change, measure: str, indices: Sequence[int]) -> Step:
    return Step(
        measure,
        indices[change.index],
        indices[change.earliest],
        indices[change.latest],
        indices[change.index - 1],
        change.effect,
        change.p_value,
    )


def _differences(before: str, after: str) -> tuple[str, ...]:
    """What differs between two conditions, by name."""
    old, new = json.loads(before), json.loads(after)
    names = sorted({*old, *new})
    return tuple(
        f"{name}: {_shown(old, name)} -> {_shown(new, name)}"
        for name in names
        if _shown(old, name) != _shown(new, name)
    )


def _shown(conditions: Mapping[str, Value], name: str) -> str:
    return json.dumps(conditions[name]) if name in conditions else "absent"


def _settings(histories: Sequence[CellHistory]) -> list[str]:
    """For each cell, the settings and weights that differ among those of its model and column."""
    alike: dict[tuple[str, str], list[dict[str, Value]]] = {}
    for history in histories:
        cell = history.cell
        alike.setdefault((cell.model, cell.title), []).append(_chosen(cell))
    return [
        _label(_chosen(each.cell), alike[each.cell.model, each.cell.title]) for each in histories
    ]


def _chosen(cell: Cell) -> dict[str, Value]:
    return {**dict(cell.settings), "weights_digest": cell.weights}


def _label(own: Mapping[str, Value], others: Sequence[Mapping[str, Value]]) -> str:
    differing = [
        f"{name}={_shown(own, name)}"
        for name in dict.fromkeys(name for each in others for name in each)
        if len({_shown(each, name) for each in others}) > 1
    ]
    return f" [{', '.join(differing)}]" if differing else ""
