"""Finds where a series of figures, one of each process, changed its level. Imports no torch.

Each split of a series into two parts gives a statistic: how far the means of the parts' scores lie
apart, in their standard deviation under no change. The scores are normal scores of the ranks (van
der Waerden), so a single wild figure weighs no more than the largest of a normal distribution. The
largest statistic over all splits is judged by a permutation test: if nothing changed, every order
of the scores is equally likely. A part that was split is searched again by itself, with its share
of the probability of a false alarm, so that the probability holds for the whole series.

The permutations assume that successive figures are independent. Where neighbours resemble each
other, the statistic is reduced by how much they do; validation/change_points.py says what remains.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from .interval import Effect, compare

Floats = npt.NDArray[np.float64]

FEWEST = 3
"""The least number of processes before a change and after it."""
SEED = 0
# Figures that are drawn at a time, and at most; so a long series gets fewer permutations.
BLOCK = 200_000
MOST_DRAWN = 1_000_000
# Permutations: of which so many are expected beyond the threshold, and how many are enough to see
# that a series is far from it.
BEYOND = 40
AT_FIRST = 199
# Where a change is, the figures nearest to it tell, drawn again so many times.
NEAREST = 100
REDRAWN = 999
# A series is never taken to be more alike from one process to the next than this.
MOST_ALIKE = 0.9


@dataclass(frozen=True)
class Change:
    """A change of level. index: of the first figure after it.

    earliest, latest: the indices between which it lies with the same confidence. effect: between
    the levels before and after, up to the next changes. p_value: of the permutation test.
    """

    index: int
    earliest: int
    latest: int
    effect: Effect
    p_value: float


def find(figures: Sequence[float], false_alarms: float, confidence: float = 0.95) -> list[Change]:
    """The changes of level in `figures`, which are logarithms, in order.

    false_alarms: the probability of finding any where nothing changed. confidence: of intervals.
    """
    series = np.asarray(figures, dtype=float)
    splits = sorted(_split(series, 0, len(series), false_alarms, len(series)))
    bounds = [0, *(index for index, _ in splits), len(series)]
    found = []
    for place, (index, p_value) in enumerate(splits):
        start, end = bounds[place], bounds[place + 2]
        effect = compare(series[start:index].tolist(), series[index:end].tolist(), confidence)
        earliest, latest = _where(series[start:end], index - start, confidence)
        found.append(Change(index, start + earliest, start + latest, effect, p_value))
    return found


def _split(
    series: Floats, start: int, end: int, false_alarms: float, total: int
) -> list[tuple[int, float]]:
    """The changes between `start` and `end` and their p-values, in any order."""
    part = series[start:end]
    if len(part) < 2 * FEWEST or np.ptp(part) == 0:
        return []
    share = false_alarms * len(part) / total
    scores = _scores(part)
    index = int(_best_splits(part))
    largest = float(_statistics(scores).max()) * math.sqrt(_independent_share(part, index))
    p_value = _p_value(scores, largest, share)
    if p_value > share:
        return []
    middle = start + index
    return [
        (middle, p_value),
        *_split(series, start, middle, false_alarms, total),
        *_split(series, middle, end, false_alarms, total),
    ]


def _scores(part: Floats) -> Floats:
    """Normal scores of the ranks, with mean 0; equal figures have equal scores."""
    _, places, counts = np.unique(part, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    scores = _normal_scores(ranks.tobytes(), len(part))[places]
    return scores - scores.mean()


@lru_cache(maxsize=256)
def _normal_scores(ranks: bytes, count: int) -> Floats:
    quantile = NormalDist().inv_cdf
    return np.array([quantile(rank / (count + 1)) for rank in np.frombuffer(ranks).tolist()])


def _statistics(scores: Floats) -> Floats:
    """The size of the standardised difference for each split, along the last axis."""
    count = scores.shape[-1]
    sums = np.cumsum(scores, axis=-1)[..., FEWEST - 1 : count - FEWEST]
    before = np.arange(FEWEST, count - FEWEST + 1)
    # Of a sum of `before` scores that are drawn without replacement; all rows have the same scores.
    variance = float(scores.reshape(-1, count)[0].var()) * before * (count - before) / (count - 1)
    return np.abs(sums, out=sums) / np.sqrt(variance)


def _best_splits(figures: Floats) -> npt.NDArray[np.intp]:
    """The split that leaves the least sum of squares, along the last axis."""
    count = figures.shape[-1]
    sums = np.cumsum(figures - figures.mean(axis=-1, keepdims=True), axis=-1)
    sums = sums[..., FEWEST - 1 : count - FEWEST]
    before = np.arange(FEWEST, count - FEWEST + 1)
    return FEWEST + np.argmax(sums**2 / (before * (count - before)), axis=-1)


def _independent_share(part: Floats, index: int) -> float:
    """How many independent figures each figure counts for, at most 1.

    Of two estimates of the correlation of neighbours the smaller one counts, because a further
    change of level raises the first, and chance the second.
    """
    rest = np.concatenate([part[:index] - part[:index].mean(), part[index:] - part[index:].mean()])
    power = float(rest @ rest)
    first = float(rest[1:] @ rest[:-1]) / power if power else 0.0
    steps = [float(np.median(np.abs(part[gap:] - part[:-gap]))) for gap in (1, 2)]
    # No correlation is larger than 1, so a ratio beyond 2 decides nothing, and may be endless.
    second = min(steps[1] / steps[0], 2.0) ** 2 - 1 if steps[0] else 0.0
    alike = min(max(min(first, second), 0.0), MOST_ALIKE)
    return (1 - alike) / (1 + alike)


def _p_value(scores: Floats, largest: float, share: float) -> float:
    """How likely it is that an order of the scores drawn by chance reaches `largest`."""
    affordable = max(math.ceil(1 / share), MOST_DRAWN // len(scores))
    enough = min(math.ceil(BEYOND / share), affordable)
    ordered, p_value = np.sort(scores).tobytes(), 1.0
    for count in (AT_FIRST, enough) if enough > 2 * AT_FIRST else (enough,):
        drawn = _drawn(ordered, count)
        # Equal statistics may differ by rounding.
        below = int(np.searchsorted(drawn, largest * (1 - 1e-12)))
        p_value = (1 + count - below) / (1 + count)
        if p_value > share + 4 * math.sqrt(p_value * (1 - p_value) / count):
            break
    return p_value


@lru_cache(maxsize=256)
def _drawn(ordered: bytes, count: int) -> Floats:
    """The largest statistic of each of `count` random orders of the scores, sorted.

    Without equal figures, the scores are the same for all series of one length.
    """
    scores = np.frombuffer(ordered)
    random = np.random.default_rng(SEED)
    rows = max(1, BLOCK // len(scores))
    found = []
    for done in range(0, count, rows):
        block = np.tile(scores, (min(rows, count - done), 1))
        random.permuted(block, axis=1, out=block)
        found.append(_statistics(block).max(axis=1))
    return np.sort(np.concatenate(found))


def _where(part: Floats, index: int, confidence: float) -> tuple[int, int]:
    """The first and the last index at which the change between two levels may be.

    The nearest figures of either side are drawn again with replacement, and the change is sought in
    each draw.
    """
    left_out = max(0, index - NEAREST)
    sides = part[left_out:index], part[index : index + NEAREST]
    random = np.random.default_rng(SEED)
    drawn = np.concatenate([random.choice(side, (REDRAWN, len(side))) for side in sides], axis=1)
    places = _best_splits(drawn)
    tail = (1 - confidence) / 2
    low, high = np.quantile(places, [tail, 1 - tail], method="nearest")
    return min(left_out + int(low), index), max(left_out + int(high), index)
