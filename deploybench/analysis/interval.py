"""The effect between two sets of processes, with a confidence interval. Imports no torch.

Each process gives one figure. The logarithms of the two sets are compared by Welch's interval
(B. L. Welch, 1947, "The generalization of 'Student's' problem when several different population
variances are involved").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Any

# Two processes may agree to the last digit by chance; no cell is known more precisely than this.
LEAST_DEVIATION = 0.001
MOST_RUNS = 200
# A wider interval says only that nothing is known, and with two processes it can reach e**709.
WIDEST = math.log(10)


@dataclass(frozen=True)
class Effect:
    """The logarithm of the candidate's figure divided by the baseline's, with its interval.

    estimate: positive if the candidate is slower. low, high: the bounds of the confidence interval;
    infinite if the spread between processes is not known. deviation: the standard deviation of one
    process. runs: how many there are on each side.
    """

    estimate: float
    low: float
    high: float
    deviation: float
    runs: tuple[int, int]

    def __str__(self) -> str:
        shown = f"{math.expm1(self.estimate):+.1%}"
        if math.isinf(self.low):
            return shown
        beyond = self.high > WIDEST
        high = f"over {math.expm1(WIDEST):+.0%}" if beyond else f"{math.expm1(self.high):+.1%}"
        return f"{shown} [{math.expm1(self.low):+.1%}, {high}]"


def compare(before: Sequence[float], after: Sequence[float], confidence: float) -> Effect:
    """The effect between two sets of logarithms, one from each process."""
    estimate = fmean(after) - fmean(before)
    runs = len(before), len(after)
    if min(runs) < 2:
        return Effect(estimate, -math.inf, math.inf, math.nan, runs)
    variances = [max(variance(each), LEAST_DEVIATION**2) for each in (before, after)]
    half = _half_width(variances, runs, confidence)
    deviation = math.sqrt(fmean(variances))
    return Effect(estimate, estimate - half, estimate + half, deviation, runs)


def runs_to_settle(effect: Effect, limit: float, confidence: float) -> int:
    """How many runs a side would settle it, if the effect and the spread stay the same.

    limit: the tolerance, as a logarithm. Returns MOST_RUNS + 1 if MOST_RUNS are not enough.
    """
    # Either the interval clears zero, or it fits within the tolerance.
    beyond = abs(effect.estimate) > limit
    enough = abs(effect.estimate) if beyond else limit - abs(effect.estimate)
    import numpy as np

    # All at once: computing one quantile at a time would take longer than everything else.
    runs = np.arange(min(effect.runs) + 1, MOST_RUNS + 1)
    widths = quantile(2 * (runs - 1), confidence) * effect.deviation * np.sqrt(2 / runs)
    sufficient = runs[widths < enough]
    return int(sufficient[0]) if len(sufficient) else MOST_RUNS + 1


def quantile(freedom: Any, confidence: float) -> Any:
    """The half width, in standard errors, of Student's interval with that many degrees of freedom.

    freedom: a number or an array. scipy.special is imported in a fraction of scipy.stats' time.
    """
    from scipy.special import stdtrit

    return stdtrit(freedom, (1 + confidence) / 2)


def _half_width(variances: Sequence[float], runs: Sequence[int], confidence: float) -> float:
    errors = [spread / count for spread, count in zip(variances, runs, strict=True)]
    squares = [error**2 / (count - 1) for error, count in zip(errors, runs, strict=True)]
    freedom = sum(errors) ** 2 / sum(squares)
    return float(quantile(freedom, confidence)) * math.sqrt(sum(errors))
