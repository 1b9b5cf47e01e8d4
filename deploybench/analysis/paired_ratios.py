"""The ratio of a backend to others of its model in one process, by round. Imports no torch.

The backends are timed interleaved, so a slow spell of the machine slows all of them and cancels
out of their ratio. The ratio is more repeatable than a single figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from statistics import median

from ..records.record import CaseRecord


def round_figures(case: CaseRecord) -> list[float]:
    """The logarithm of the median of each round's calls.

    A run that does not record its rounds counts as one round.
    """
    samples = case.samples_ms
    sizes = case.turns or [len(samples)]
    rounds = [samples[start:end] for start, end in pairwise([0, *accumulate(sizes)])]
    return [math.log(median(calls)) for calls in rounds if calls]


def beside(figures: Sequence[float], others: Sequence[Sequence[float]]) -> list[float]:
    """The logarithm of one backend's time divided by the median of the others', for each round.

    Only rounds that all of them have count. figures, others: as returned by `round_figures`.
    """
    rounds = zip(figures, *others, strict=False)
    return [figure - median(rest) for figure, *rest in rounds]
