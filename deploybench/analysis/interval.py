"""How one set of processes stands to another, with an interval. Imports no torch.

Two sets of figures, one from each process, are compared by Welch's interval (B. L. Welch, 1947,
"The generalization of 'Student's' problem when several different population variances are
involved") on their logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

# Two processes may agree to the last digit by luck; no cell is known better than this.
LEAST_DEVIATION = 0.001
MOST_RUNS = 200
# What lies beyond says no more than that nothing is known, and two processes can reach e**709.
WIDEST = math.log(10)


@dataclass(frozen=True)
class Effect:
    """How the candidate's figure stands to the baseline's, in logarithms of their ratio.

    estimate: positive where the candidate is slower. low, high: the interval; infinite where the
    spread between processes is not known. deviation: of one process. runs: on each side.
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
    """The effect between two sets of logarithms, one a process."""
    estimate = fmean(after) - fmean(before)
    runs = len(before), len(after)
    if min(runs) < 2:
        return Effect(estimate, -math.inf, math.inf, math.nan, runs)
    variances = [max(variance(each), LEAST_DEVIATION**2) for each in (before, after)]
    half = _half_width(variances, runs, confidence)
    deviation = math.sqrt(fmean(variances))
    return Effect(estimate, estimate - half, estimate + half, deviation, runs)


def runs_to_settle(effect: Effect, limit: float, confidence: float) -> int:
    """How many runs a side settle it, if the effect and the spread stay as they are.

    limit: the tolerance, as a logarithm. MOST_RUNS + 1 where those are not enough.
    """
    # Either the interval clears zero, or it fits within the tolerance.
    beyond = abs(effect.estimate) > limit
    enough = abs(effect.estimate) if beyond else limit - abs(effect.estimate)
    import numpy as np
    from scipy.stats import t

    # All at once, since a quantile at a time takes longer than all the rest.
    runs = np.arange(min(effect.runs) + 1, MOST_RUNS + 1)
    widths = t.ppf((1 + confidence) / 2, 2 * (runs - 1)) * effect.deviation * np.sqrt(2 / runs)
    sufficient = runs[widths < enough]
    return int(sufficient[0]) if len(sufficient) else MOST_RUNS + 1


def _half_width(variances: Sequence[float], runs: Sequence[int], confidence: float) -> float:
    from scipy.stats import t

    errors = [spread / count for spread, count in zip(variances, runs, strict=True)]
    squares = [error**2 / (count - 1) for error, count in zip(errors, runs, strict=True)]
    freedom = sum(errors) ** 2 / sum(squares)
    return float(t.ppf((1 + confidence) / 2, freedom)) * math.sqrt(sum(errors))
