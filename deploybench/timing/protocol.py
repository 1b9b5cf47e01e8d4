"""How every case is measured: warm-up, samples, and the stopping rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from statistics import median
from time import perf_counter
from typing import TypeVar

Result = TypeVar("Result")

LATENCY = "latency"
THROUGHPUT = "throughput"


@dataclass(frozen=True)
class Protocol:
    """How a case is measured.

    warm_up_calls: untimed calls before the first timed one; TorchScript profiles on its first call
    and optimises on its second, so at least 5.
    min_rounds, max_rounds: the minimum and maximum of timed calls.
    max_seconds: no new turn begins once the timed calls add up to this.
    precision: a case ends when half the width of the median's confidence interval, as a share of
    the median, is at most this.
    confidence: of that interval.
    turn_calls, turn_seconds: a turn has as many calls as fill turn_seconds, but at least turn_calls
    (or min_rounds, if that is less).
    settling_seconds: if a call is shorter than this, each turn begins with an untimed call.
    min_turns: a case has at least this many turns (or min_rounds, if that is less), so that its
    speed-up has an interval.
    metric: LATENCY, or THROUGHPUT for calls queued back to back with one synchronisation at the end
    of a turn, which is then one sample.
    include_copies: each call also transfers its input to the device and its output back.
    neighbours: how many processes call the model at once, of which one is timed.
    """

    warm_up_calls: int = 5
    min_rounds: int = 20
    max_rounds: int = 10_000
    max_seconds: float = 0.5
    precision: float = 0.01
    confidence: float = 0.99
    turn_calls: int = 5
    turn_seconds: float = 0.02
    settling_seconds: float = 0.05
    min_turns: int = 4
    metric: str = LATENCY
    include_copies: bool = False
    neighbours: int = 1

    def stopped_by(self, samples: Sequence[float], turns: int, calls: int, elapsed: float) -> str:
        """The bound that ends a case after this many turns and calls; empty to continue.

        samples: seconds, so far. elapsed: the total seconds of the timed calls.
        """
        if calls < self.min_rounds or turns < min(self.min_turns, self.min_rounds):
            return ""
        if elapsed >= self.max_seconds:
            return "max_seconds"
        if calls >= self.max_rounds:
            return "max_rounds"
        return "precision" if half_width(samples, self.confidence) <= self.precision else ""

    def calls_in_a_turn(self, call_seconds: float) -> int:
        """The number of calls in a turn if one call takes `call_seconds`."""
        least = min(self.turn_calls, self.min_rounds)
        enough = math.ceil(self.turn_seconds / call_seconds) if call_seconds > 0 else least
        return min(max(least, enough), 1000) if self.max_seconds > 0 else least


@dataclass(frozen=True)
class Measurement:
    """The latency of one case, or its throughput as seconds per call.

    samples: seconds of each timed call, with the device synchronised at both ends; for throughput,
    the mean seconds per call of each turn. turns: the number of samples in each turn.
    device_samples: seconds of further calls by CUDA events; empty on a CPU. clock: the name of the
    clock that timed the samples. stopped_by: the bound that ended it. precision: half the width of
    the median's confidence interval, as a share of the median. neighbours: the median seconds of
    the calls of each neighbour meanwhile.
    """

    samples: tuple[float, ...]
    turns: tuple[int, ...]
    device_samples: tuple[float, ...]
    clock: str
    stopped_by: str
    precision: float
    neighbours: tuple[float, ...] = ()

    @property
    def median(self) -> float:
        """The median in seconds."""
        return median(self.samples)


def half_width(samples: Sequence[float], confidence: float) -> float:
    """Half the width of the median's confidence interval, as a share of the median.

    It uses order statistics and holds for any distribution (W. J. Conover, 1999, "Practical
    nonparametric statistics", section 3.2). Infinite if there are too few samples.
    """
    rank = _lower_rank(len(samples), confidence)
    if rank == 0:
        return math.inf
    ordered = sorted(samples)
    return (ordered[-rank] - ordered[rank - 1]) / 2 / median(ordered)


@cache
def _lower_rank(count: int, confidence: float) -> int:
    """The rank, from 1, of the ordered sample at which the median's interval begins; 0 if none.

    It is the (1 - confidence) / 2 quantile of the number of samples below the median, which is
    binomial. It is computed exactly, in whole numbers. scipy.stats has the same, but importing it
    takes longer than timing a case.
    """
    tail = Fraction((1 - confidence) / 2)
    rank, ways, total = 0, 1, 1
    while total * tail.denominator < tail.numerator << count:
        rank += 1
        ways = ways * (count - rank + 1) // rank
        total += ways
    return rank


def stopwatch(action: Callable[[], Result]) -> tuple[Result, float]:
    """Call `action` once; return its result and the seconds it took."""
    start = perf_counter()
    result = action()
    return result, perf_counter() - start
