"""The samples of a cell, thinned to what a plot can show. Imports no torch.

However many samples there are, a cell keeps its quantiles at LEVELS, and a limited number of points
in running order. A point stands for one interleaved round, or for several in a row, by the least,
the median and the largest of its samples, so that a burst of one call still shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import median

from ..records.record import CaseRecord
from . import percentiles

LEVELS = (
    *(0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99),
    *(0.995, 0.999, 1.0),
)
MIDDLE = LEVELS.index(0.5)
LEAST_POINTS = 4


@dataclass(frozen=True)
class Point:
    """One round, or several in a row: how many calls, and milliseconds."""

    calls: int
    least: float
    middle: float
    largest: float


@dataclass(frozen=True)
class Distribution:
    """The milliseconds of a cell's calls, over all its runs.

    quantiles: at LEVELS. claimed: by share, those of percentiles.SHARES; None with too few samples.
    series: for each run, its points in running order. by_round: whether the run recorded rounds.
    """

    count: int
    quantiles: tuple[float, ...]
    claimed: dict[float, float | None]
    series: tuple[tuple[Point, ...], ...]
    by_round: bool


def of(cases: Sequence[CaseRecord], most_points: int) -> Distribution:
    """The distribution of one cell. cases: one for each run. most_points: of all runs together."""
    import numpy as np

    pooled = [sample for case in cases for sample in case.samples_ms]
    most = max(LEAST_POINTS, most_points // len(cases))
    return Distribution(
        len(pooled),
        tuple(float(value) for value in np.quantile(pooled, LEVELS)),
        {share: percentiles.claimed(pooled, share) for share in percentiles.SHARES},
        tuple(_points(case, most) for case in cases),
        all(case.turns is not None for case in cases),
    )


def _points(case: CaseRecord, most: int) -> tuple[Point, ...]:
    samples = case.samples_ms
    ends = [0, *accumulate(case.turns or [1] * len(samples))]
    rounds = len(ends) - 1
    count = min(most, rounds)
    kept = [ends[number * rounds // count] for number in range(count + 1)]
    parts = (samples[start:end] for start, end in pairwise(kept))
    return tuple(Point(len(part), min(part), median(part), max(part)) for part in parts)
