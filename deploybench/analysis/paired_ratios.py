"""A backend beside others of its model within one process, turn by turn. Imports no torch.

They were timed in turn, so what slowed the machine down for a while hit all and is not in their
ratio. That ratio repeats better than any one figure does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from statistics import median

from ..records.record import CaseRecord


def turn_figures(case: CaseRecord) -> list[float]:
    """The logarithm of the median of each turn's calls; all in one where the run does not tell."""
    samples = case.samples_ms
    sizes = case.turns or [len(samples)]
    turns = [samples[start:end] for start, end in pairwise([0, *accumulate(sizes)])]
    return [math.log(median(turn)) for turn in turns if turn]


def beside(figures: Sequence[float], others: Sequence[Sequence[float]]) -> list[float]:
    """The logarithm of how many times as long one took as the middle of the others.

    For each turn that all had; figures and each of others as turn_figures has them.
    """
    turns = zip(figures, *others, strict=False)
    return [figure - median(middle) for figure, *middle in turns]
