"""The data that a report's page draws a cell from, when it is clicked. Imports no torch.

Milliseconds are whole numbers: the difference from the cell's median in units of 1/SCALE of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..analysis import distribution, percentiles
from ..analysis.cells import TIMED, Cell
from ..analysis.overview import Overview
from . import numbers
from .visible import visible

SCALE = 10_000
LONGEST_REASON = 600
# Points in running order: of a cell, and of all cells together.
FEWEST_POINTS, MOST_POINTS, ALL_POINTS = 14, 60, 8_000
FIELDS = "state", "why", "middle", "count", "rounds", "quantiles", "claimed", "series", "facts"
FACTS = ("times eager", "times the limit", "answer", "timing ended by", "sha256")


def of(overview: Overview) -> dict[str, Any]:
    """By the number of the cell: its row times the number of columns, plus its column."""
    cells = [cell for model in overview.models for cell in overview.row(model)]
    points = min(MOST_POINTS, max(FEWEST_POINTS, ALL_POINTS // max(1, len(cells))))
    return {
        "scale": SCALE,
        "levels": distribution.LEVELS,
        "shares": [
            [percentiles.name(share), share, percentiles.least_samples(share)]
            for share in percentiles.SHARES
        ],
        "fields": FIELDS,
        "facts": FACTS,
        "models": [visible(model) for model in overview.models],
        "columns": [visible(column.title) for column in overview.columns],
        "cells": [_cell(cell, points) for cell in cells],
    }


def _cell(cell: Cell, points: int) -> list[Any]:
    """The values of FIELDS; only the first two for a cell without figures."""
    found: list[Any] = [
        "" if cell.state == TIMED else cell.state,
        [visible(reason)[:LONGEST_REASON] for reason in cell.reasons],
    ]
    known = cell.distribution(points)
    return found if known is None else [*found, *_distribution(known), _facts(cell)]


def _distribution(known: distribution.Distribution) -> list[Any]:
    middle = known.quantiles[distribution.MIDDLE]

    def whole(value: float) -> int:
        return round((value / middle - 1) * SCALE)

    return [
        float(f"{middle:.6g}"),
        known.count,
        int(known.by_round),
        [whole(value) for value in known.quantiles],
        [None if each is None else whole(each) for each in known.claimed.values()],
        [
            [number for point in series for number in _point(point, whole)]
            for series in known.series
        ],
    ]


def _point(point: distribution.Point, whole: Callable[[float], int]) -> tuple[int, ...]:
    return point.calls, *map(whole, (point.least, point.middle, point.largest))


def _facts(cell: Cell) -> list[str]:
    """What else is known of a cell, in the order of FACTS; empty if it is not known."""
    case, check, speedup = cell.cases[-1], cell.check, cell.speedup
    answer = "" if check is None else f"{check.verdict}, error {check.error:.3g}"
    if check is not None and check.margin is not None:
        answer += f", margin {check.margin:.3g}"
    if case.reduced is not None:
        answer = "; ".join(filter(None, (case.reduced.reason, case.reduced.work)))
    facts = [
        f"{numbers.times(speedup)} ({numbers.interval(speedup)})" if speedup else "",
        numbers.significant(cell.times_floor) if cell.times_floor else "",
        answer,
        case.stopped_by or "",
        (case.artifact_sha256 or "")[:16],
    ]
    return [visible(words) for words in facts]
