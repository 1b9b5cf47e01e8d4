"""The geometric mean of a backend's speed-ups over several models, with its interval.

With several processes, each of which has all models, a process gives one figure, the mean over the
models, and the interval is Student's over the processes. Otherwise it comes from the intervals of
the models, which are independent since each model has rounds of its own: their variances add up,
with the degrees of freedom of Welch and Satterthwaite. Imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median, stdev

from ..records.record import CaseRecord
from .interval import quantile
from .paired_ratios import Units, beside, round_figures
from .speedup import Speedup

Pair = tuple[CaseRecord, CaseRecord]
"""Eager and another backend of one model, from one process."""


def of(models: Sequence[Sequence[Pair]], confidence: float = 0.95) -> Speedup:
    """The mean over `models`: for each, its pairs, one for each process."""
    logarithms = [
        [beside(round_figures(eager), [round_figures(other)]) for eager, other in pairs]
        for pairs in models
    ]
    disturbed = any(case.disturbed for pairs in models for pair in pairs for case in pair)
    counts = {len(pairs) for pairs in models}
    if counts == {1} or len(counts) > 1:
        return _by_models(logarithms, confidence, disturbed)
    middles = [[median(rounds) for rounds in processes] for processes in logarithms]
    units = [fmean(process) for process in zip(*middles, strict=True)]
    error = stdev(units) / math.sqrt(len(units))
    return _with_interval(fmean(units), error, len(units) - 1, len(units), confidence, disturbed)


def _by_models(
    models: Sequence[Sequence[Sequence[float]]], confidence: float, disturbed: bool
) -> Speedup:
    """From the interval of each model, over its processes, or over the rounds of its only one."""
    units = [Units.of(processes) for processes in models]
    middle = fmean(each.middle for each in units)
    freedoms = [len(each.figures) - 1 for each in units]
    if not all(freedoms):
        return Speedup(math.exp(middle), None, None, 1, disturbed)
    variances = [each.error**2 for each in units]
    squares = [variance**2 / freedom for variance, freedom in zip(variances, freedoms, strict=True)]
    freedom = sum(variances) ** 2 / sum(squares) if any(squares) else 1.0
    error = math.sqrt(sum(variances)) / len(models)
    least = min(freedoms) + 1
    return _with_interval(middle, error, freedom, least, confidence, disturbed)


def _with_interval(
    middle: float, error: float, freedom: float, units: int, confidence: float, disturbed: bool
) -> Speedup:
    half = float(quantile(freedom, confidence)) * error
    return Speedup(
        math.exp(middle), math.exp(middle - half), math.exp(middle + half), units, disturbed
    )
