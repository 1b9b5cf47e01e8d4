"""The trends of saved runs as a table, as CSV, and as JSON. Imports no torch."""

from __future__ import annotations

import csv
import io
import json
import math
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median

from ..analysis.interval import WIDEST, Effect
from ..analysis.labels import DISTURBED
from ..analysis.trends import LATENCY, RATIO, Break, Step, Trend
from ..records.history import Point, Run
from .article_csv import guarded
from .marks import marks
from .tables import Section, Table, View

HEADER = ("Model", "Backend", "Runs", "First", "Last", "Latest ms", "x eager", "Changes")
# Many machines that take turns change the conditions with every run.
MOST_BREAKS = 10


def table(trends: Sequence[Trend]) -> Table:
    """The cells, then every change of the code, of the machine and of the conditions."""
    code = [change(trend, step) for trend in trends for step in trend.named]
    other = [change(trend, step) for trend in trends for step in _not_named(trend)]
    breaks = _breaks(trends)
    shown = breaks[-MOST_BREAKS:]
    if len(breaks) > MOST_BREAKS:
        shown.append(f"and {len(breaks) - MOST_BREAKS} times before that")
    failing = [_failing(trend) for trend in trends if trend.is_failing]
    sections = (
        ("changes:", code),
        ("of the latency alone; the machine, or what eager shares, may have changed:", other),
        ("conditions changed, and figures before and after are not compared:", shown),
        ("without a figure in the newest run:", failing),
    )
    rows = [HEADER, *map(_row, trends)]
    return Table.of(
        rows,
        names=2,
        words=frozenset({"First", "Last", "Changes"}),
        title="History",
        notes=(*marks(rows), *(() if code else ("no changes",))),
        sections=tuple(Section(title, tuple(lines)) for title, lines in sections if lines),
    )


def _row(trend: Trend) -> tuple[str, ...]:
    latest = trend.latest
    ratios = [point.ratio for point in latest if point.ratio is not None]
    named = trend.named
    slower = sum(step.is_slower for step in named)
    counts = [(slower, "slower"), (len(named) - slower, "faster")]
    times = [point.run.time for point in trend.points]
    disturbed = DISTURBED if any(point.disturbed for point in latest) else ""
    return (
        trend.cell.model,
        trend.title,
        str(len(trend.points)),
        day(min(times)),
        day(max(times)),
        f"{median(point.latency_ms for point in latest):.2f}{disturbed}{trend.mark}",
        f"{median(ratios):.3f}{trend.mark}" if ratios else "-",
        ", ".join(f"{count} {word}" for count, word in counts if count) or "-",
    )


def _not_named(trend: Trend) -> list[Step]:
    """The steps of the latency of a cell that is judged by its ratio."""
    named = trend.named
    return [step for step in trend.steps if step not in named]


def change(trend: Trend, step: Step) -> str:
    """A step in words, with the first run after it and the last one before."""
    points = trend.points
    word = "slower" if step.is_slower else "faster"
    beside = " relative to eager" if step.measure == RATIO else ""
    line = (
        f"{trend.cell.model}, {trend.title}{trend.mark}, {word}: {step.effect}{beside} "
        f"since {_named(points[step.index].run)}; before it, {_named(points[step.before].run)}"
    )
    if step.earliest < step.latest:
        between = [points[place].run.name for place in (step.earliest, step.latest)]
        line += f"; first seen between {between[0]} and {between[1]}"
    return line


def _named(run: Run) -> str:
    """A run with its commit."""
    if run.commit is None:
        return f"run {run.name} ({day(run.time)})"
    changed = " with changes" if run.dirty else ""
    return f"commit {run.commit[:12]}{changed} (run {run.name}, {day(run.time)})"


def _breaks(trends: Sequence[Trend]) -> list[str]:
    """Each change of conditions once, with how many cells it concerns."""
    cells: dict[tuple[tuple[float, float, int, str], str, tuple[str, ...]], int] = {}
    for trend in trends:
        for each in trend.breaks:
            run = trend.points[each.index].run
            key = run.order, _named(run), each.differences
            cells[key] = cells.get(key, 0) + 1
    return [
        f"{named}: {', '.join(differences)} ({count} {'cell' if count == 1 else 'cells'})"
        for (_, named, differences), count in sorted(cells.items())
    ]


def _failing(trend: Trend) -> str:
    newest = max(trend.failures, key=lambda failure: failure.run.order)
    reason = textwrap.shorten(newest.reason, 200, placeholder="...")
    return f"{trend.cell.model}, {trend.title}: {newest.kind} in {_named(newest.run)}: {reason}"


def day(seconds: float) -> str:
    """The date of a time since 1970."""
    return _moment(seconds)[:10]


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


COLUMNS = (
    *("model", "backend", "title", "run", "time", "commit", "commit_time", "branch", "dirty"),
    *("latency_ms", "low_ms", "high_ms", "ratio", "calls", "disturbed"),
    *("conditions_changed", "latency_change", "ratio_change", "reduced_precision"),
)


def as_csv(trends: Sequence[Trend], view: View | None = None) -> str:
    """A row for each cell in each run, with semicolons like the other tables.

    latency_change, ratio_change: the size of the change that begins with this run, as a share.
    """
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\n")
    writer.writerow(COLUMNS)
    for trend in trends:
        breaks = {each.index: each for each in trend.breaks}
        steps = {(step.measure, step.index): step for step in trend.steps}
        for index, point in enumerate(trend.points):
            run, cell = point.run, trend.cell
            made = None if run.commit_time is None else _moment(run.commit_time)
            broken = breaks.get(index)
            writer.writerow(
                [
                    *map(guarded, (cell.model, cell.backend, trend.title, run.path)),
                    *(
                        _moment(run.time),
                        guarded(run.commit),
                        made,
                        guarded(run.branch),
                        int(run.dirty),
                    ),
                    *(point.latency_ms, point.low_ms, point.high_ms, point.ratio, point.calls),
                    int(point.disturbed),
                    guarded(", ".join(broken.differences)) if broken else "",
                    *(_share(steps.get((measure, index))) for measure in (LATENCY, RATIO)),
                    point.status,
                ]
            )
    return out.getvalue()


def _share(step: Step | None) -> float | None:
    return None if step is None else math.expm1(step.effect.estimate)


def as_json(trends: Sequence[Trend], view: View | None = None) -> str:
    """Every trend in full; null if unknown."""
    document = {"cells": [_trend(trend) for trend in trends]}
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _trend(trend: Trend) -> dict[str, object]:
    cell = trend.cell
    return {
        "model": cell.model,
        "backend": cell.backend,
        "title": trend.title,
        "weights_digest": cell.weights,
        "settings": dict(cell.settings),
        "points": [_point(point) for point in trend.points],
        "breaks": [_break(each) for each in trend.breaks],
        "changes": [_step(trend, step) for step in trend.steps],
        "failures": [
            {**_run(each.run), "kind": each.kind, "reason": each.reason} for each in trend.failures
        ],
    }


def _run(run: Run) -> dict[str, object]:
    return {
        "run": run.path,
        "time": _moment(run.time),
        "commit": run.commit,
        "commit_time": None if run.commit_time is None else _moment(run.commit_time),
        "branch": run.branch,
        "dirty": run.dirty,
    }


def _point(point: Point) -> dict[str, object]:
    return {
        **_run(point.run),
        "latency_ms": point.latency_ms,
        "low_ms": point.low_ms,
        "high_ms": point.high_ms,
        "ratio": point.ratio,
        "calls": point.calls,
        "disturbed": point.disturbed,
        "reduced_precision": point.status,
    }


def _break(each: Break) -> dict[str, object]:
    return {"index": each.index, "differences": list(each.differences)}


def _step(trend: Trend, step: Step) -> dict[str, object]:
    points = trend.points
    return {
        "measure": step.measure,
        "index": step.index,
        "first": _run(points[step.index].run),
        "last_before": _run(points[step.before].run),
        "earliest": points[step.earliest].run.path,
        "latest": points[step.latest].run.path,
        "change": math.expm1(step.effect.estimate),
        "interval": _interval(step.effect),
        "p_value": step.p_value,
    }


def _interval(effect: Effect) -> list[float] | None:
    known = effect.high <= WIDEST
    return [math.expm1(bound) for bound in (effect.low, effect.high)] if known else None
