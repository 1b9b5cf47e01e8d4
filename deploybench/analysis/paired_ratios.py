"""The ratio of a backend to others of its model in one process, by round. Imports no torch.

The backends are timed interleaved, so a slow spell of the machine slows all of them and cancels
out of their ratio. The ratio is more repeatable than a single figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import fmean, median, stdev

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


@dataclass(frozen=True)
class Units:
    """What repeats, and the middle of it.

    figures: the median of each process, whose middle is their mean; or the rounds of the only
    process, whose middle is their median.
    """

    figures: Sequence[float]
    middle: float
    are_rounds: bool

    @classmethod
    def of(cls, processes: Sequence[Sequence[float]]) -> Units:
        """The units of one or more processes, each with its rounds."""
        if len(processes) == 1:
            return cls(processes[0], median(processes[0]), are_rounds=True)
        figures = [median(rounds) for rounds in processes]
        return cls(figures, fmean(figures), are_rounds=False)

    @property
    def error(self) -> float:
        """The standard error of the middle, of two or more figures.

        A median of normal values varies sqrt(pi / 2) times as much as their mean.
        """
        widening = math.sqrt(math.pi / 2) if self.are_rounds else 1.0
        return widening * stdev(self.figures) / math.sqrt(len(self.figures))
