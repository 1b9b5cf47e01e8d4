"""The geometric mean of a backend's speed-ups over several models, with its interval.

With several processes, each of which has all models, a process gives one figure, the mean over the
models, and the interval is Student's over the processes. With one process, the interval comes from
those of the models, which are independent of one another since each model has rounds of its own:
their variances add up, with the degrees of freedom of Welch and Satterthwaite. Imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median, stdev

from ..records.record import CaseRecord
from .paired_ratios import beside, round_figures
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
    if counts == {1}:
        return _of_one_process([rounds for (rounds,) in logarithms], confidence, disturbed)
    middles = [[median(rounds) for rounds in processes] for processes in logarithms]
    middle = fmean(fmean(processes) for processes in middles)
    if len(counts) > 1:
        return Speedup(math.exp(middle), None, None, 1, disturbed)
    units = [fmean(process) for process in zip(*middles, strict=True)]
    error = stdev(units) / math.sqrt(len(units))
    return _with_interval(middle, error, len(units) - 1, len(units), confidence, disturbed)


def _of_one_process(
    models: Sequence[Sequence[float]], confidence: float, disturbed: bool
) -> Speedup:
    middle = fmean(median(rounds) for rounds in models)
    if min(len(rounds) for rounds in models) < 2:
        return Speedup(math.exp(middle), None, None, 1, disturbed)
    # A median varies sqrt(pi / 2) times as much as a mean: see speedup.py.
    variances = [math.pi / 2 * stdev(rounds) ** 2 / len(rounds) for rounds in models]
    squares = [
        variance**2 / (len(rounds) - 1) for variance, rounds in zip(variances, models, strict=True)
    ]
    freedom = sum(variances) ** 2 / sum(squares) if any(squares) else 1.0
    error = math.sqrt(sum(variances)) / len(models)
    units = min(len(rounds) for rounds in models)
    return _with_interval(middle, error, freedom, units, confidence, disturbed)


def _with_interval(
    middle: float, error: float, freedom: float, units: int, confidence: float, disturbed: bool
) -> Speedup:
    from scipy.stats import t

    half = float(t.ppf((1 + confidence) / 2, freedom)) * error
    return Speedup(
        math.exp(middle), math.exp(middle - half), math.exp(middle + half), units, disturbed
    )
