"""The latest figures in the formats of services that keep a history. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from statistics import median

from ..analysis.trends import Trend
from ..records.history import Point
from .tables import View

NANOSECONDS = 1e6


def github_action_benchmark(trends: Sequence[Trend], view: View | None = None) -> str:
    """An array for github-action-benchmark's tool customSmallerIsBetter.

    range: half the distance between the extremes of several processes of the latest commit, or
    between the quartiles of the calls of a single one; left out if there is only one figure.
    """
    found = []
    for trend in trends:
        name, extra = _name(trend), _extra(trend)
        for suffix, unit, (value, low, high) in _figures(trend):
            about = {"name": name + suffix, "unit": unit, "value": value, "extra": extra}
            if low < high:
                about["range"] = f"± {(high - low) / 2:.3g}"
            found.append(about)
    return json.dumps(found, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def bencher(trends: Sequence[Trend], view: View | None = None) -> str:
    """An object in the Bencher Metric Format. Its latency is in nanoseconds, as it is there."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for trend in trends:
        measures = {}
        for suffix, _, figures in _figures(trend):
            value, low, high = ((1 if suffix else NANOSECONDS) * figure for figure in figures)
            values = {"value": value}
            if low < high:
                values |= {"lower_value": low, "upper_value": high}
            measures["ratio-to-eager" if suffix else "latency"] = values
        found[_name(trend)] = measures
    return json.dumps(found, indent=2, allow_nan=False) + "\n"


def _name(trend: Trend) -> str:
    """Of a series of figures: with a mark, it is another one."""
    return f"{trend.cell.model} / {trend.title}{trend.mark}"


Figures = tuple[float, float, float]


def _figures(trend: Trend) -> Iterator[tuple[str, str, Figures]]:
    """A suffix for the name, the unit, and the middle with its bounds."""
    latest = trend.latest
    yield "", "ms", _latency(latest)
    ratios = [point.ratio for point in latest if point.ratio is not None]
    if ratios:
        yield " / times eager", "x", (median(ratios), min(ratios), max(ratios))


def _latency(latest: Sequence[Point]) -> Figures:
    if len(latest) == 1:
        return latest[0].latency_ms, latest[0].low_ms, latest[0].high_ms
    medians = [point.latency_ms for point in latest]
    return median(medians), min(medians), max(medians)


def _extra(trend: Trend) -> str:
    last, count = trend.points[-1].run, len(trend.latest)
    return "\n".join(
        [
            f"commit: {last.commit or 'not known'}{' with changes' if last.dirty else ''}",
            f"run: {last.path}",
            f"processes: {count}",
        ]
    )
