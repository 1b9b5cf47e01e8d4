"""The history of saved runs as a page, or as a part of a report's page. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..analysis.labels import DISTURBED
from ..analysis.trends import Step, Trend
from ..records.history import Run
from . import history, numbers, template, trend_plots
from .marks import marks
from .tables import Section, Table

# What all plots and tables together may hold, so that a page has less than 1 MB.
MOST_PLOTS, MOST_POINTS, MOST_ROWS = 150, 6000, 2000
FEWEST_POINTS, FEWEST_ROWS, MOST_ROWS_EACH = 30, 4, 200


@dataclass(frozen=True)
class Headline:
    """The first commit that made anything slower; code: None if nothing became slower."""

    code: str | None
    words: str


@dataclass(frozen=True)
class Shown:
    """What a page shows of the trends. drawn: those with a plot, the changed ones first."""

    trends: tuple[Trend, ...]
    drawn: tuple[Trend, ...]
    headline: Headline
    table: Table

    @property
    def sections(self) -> tuple[Section, ...]:
        """The changes, in words."""
        return self.table.sections

    @property
    def notes(self) -> tuple[str, ...]:
        """What the marks behind the figures mean."""
        return marks([self.table.header, *self.table.rows])

    def plot(self, trend: Trend) -> object:
        """The plot of a trend."""
        return trend_plots.of(trend, max(FEWEST_POINTS, MOST_POINTS // len(self.drawn)))

    def rows(self, trend: Trend) -> list[tuple[str, ...]]:
        """The runs of a trend for the table under its plot: the last ones, and all at a change."""
        most = min(MOST_ROWS_EACH, max(FEWEST_ROWS, MOST_ROWS // len(self.drawn)))
        marks = _marks(trend)
        last = range(max(0, len(trend.points) - most), len(trend.points))
        kept = sorted({*last, *sorted(marks)[-most:]})
        return [_row(trend, index, marks.get(index, "")) for index in kept]


ROW = ("Run", "Commit", "Date", "ms", "Times eager's time", "Change")


def shown(trends: Sequence[Trend]) -> Shown:
    """What a page shows of these."""
    changed = [trend for trend in trends if trend.steps]
    others = [trend for trend in trends if not trend.steps]
    changed.sort(key=lambda trend: not any(step.is_slower for step in trend.named))
    drawn = (*changed, *others)[:MOST_PLOTS]
    return Shown(tuple(trends), tuple(drawn), _headline(trends), history.table(trends))


def render(trends: Sequence[Trend]) -> str:
    """The page of the history alone."""
    return template.render("history.html", history=shown(trends), row_titles=ROW)


def _headline(trends: Sequence[Trend]) -> Headline:
    slow = [(trend, step) for trend in trends for step in trend.named if step.is_slower]
    if not slow:
        return Headline(
            None, "No cell became slower by a step too large and too lasting for chance."
        )
    order = [(_first(trend, step).order, trend, step) for trend, step in slow]
    _, trend, step = min(order, key=lambda each: each[0])
    run = _first(trend, step)
    cells = len({id(each) for each, _ in slow})
    words = history.change(trend, step)
    more = f" In all, {cells} cells became slower." if cells > 1 else ""
    return Headline(
        f"commit {run.commit[:12]}" if run.commit else f"run {run.name}", words + "." + more
    )


def _first(trend: Trend, step: Step) -> Run:
    return trend.points[step.index].run


def _marks(trend: Trend) -> dict[int, str]:
    """What changes with a run, by its index."""
    found: dict[int, list[str]] = {}
    for step in trend.steps:
        words = f"{step.measure} {numbers.change(step.effect.estimate)}"
        found.setdefault(step.index, []).append(words)
    for each in trend.breaks:
        found.setdefault(each.index, []).append("conditions: " + ", ".join(each.differences))
    return {index: "; ".join(words) for index, words in found.items()}


def _row(trend: Trend, index: int, mark: str) -> tuple[str, ...]:
    point = trend.points[index]
    run = point.run
    commit = f"{run.commit[:12]}{' changed' if run.dirty else ''}" if run.commit else "-"
    latency = (
        f"{numbers.significant(point.latency_ms)}{DISTURBED if point.disturbed else ''}{point.mark}"
    )
    ratio = "-" if point.ratio is None else f"{point.ratio:.3f}{point.mark}"
    return run.name, commit, history.day(run.time), latency, ratio, mark or "-"
