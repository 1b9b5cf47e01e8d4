"""How a case is measured: warm-up, samples, and when there are enough. One for all backends."""

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
    min_rounds, max_rounds: timed calls at the least and at the most.
    max_seconds: no new turn begins once the timed calls add up to this.
    precision: half the width of the median's interval, as a share of the median, that ends a case.
    confidence: of that interval.
    turn_calls, turn_seconds: a turn has as many calls as take turn_seconds, and at least
    turn_calls, or min_rounds if those are fewer.
    settling_seconds: a turn of calls shorter than this begins with one that is not timed.
    min_turns: a case has this many, or min_rounds if those are fewer, so that its speed-up has an
    interval.
    metric: LATENCY, or THROUGHPUT for calls queued back to back with one synchronise at the end of
    a turn, which is then one sample.
    include_copies: each call takes its input from the host and brings its output back there.
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

    def stopped_by(self, samples: Sequence[float], turns: int, calls: int, elapsed: float) -> str:
        """The bound that ends a case after so many turns and calls; empty if it goes on.

        samples: seconds, so far. elapsed: seconds that the timed calls have taken together.
        """
        if calls < self.min_rounds or turns < min(self.min_turns, self.min_rounds):
            return ""
        if elapsed >= self.max_seconds:
            return "max_seconds"
        if calls >= self.max_rounds:
            return "max_rounds"
        return "precision" if half_width(samples, self.confidence) <= self.precision else ""

    def calls_in_a_turn(self, call_seconds: float) -> int:
        """How many calls a turn has where one takes `call_seconds`."""
        least = min(self.turn_calls, self.min_rounds)
        enough = math.ceil(self.turn_seconds / call_seconds) if call_seconds > 0 else least
        return min(max(least, enough), 1000) if self.max_seconds > 0 else least


@dataclass(frozen=True)
class Measurement:
    """The latency of one case, or its throughput as seconds a call.

    samples: seconds of each timed call, device synchronised at both ends; for throughput, seconds
    a call of each turn. turns: how many of the samples each turn gave. device_samples: seconds of
    further calls by CUDA events; empty on a CPU. clock: the name of what timed the samples.
    stopped_by: which bound ended it. precision: half the width of the median's interval, as a share
    of the median.
    """

    samples: tuple[float, ...]
    turns: tuple[int, ...]
    device_samples: tuple[float, ...]
    clock: str
    stopped_by: str
    precision: float

    @property
    def median(self) -> float:
        """The median in seconds."""
        return median(self.samples)


def half_width(samples: Sequence[float], confidence: float) -> float:
    """Half the width of the interval of the median, as a share of the median.

    By order statistics, whatever the distribution (W. J. Conover, 1999, "Practical nonparametric
    statistics", section 3.2). Infinite where the samples are too few for that confidence.
    """
    rank = _lower_rank(len(samples), confidence)
    if rank == 0:
        return math.inf
    ordered = sorted(samples)
    return (ordered[-rank] - ordered[rank - 1]) / 2 / median(ordered)


@cache
def _lower_rank(count: int, confidence: float) -> int:
    """Which of `count` samples in order, from 1, the median's interval begins with; 0: none.

    The least number that a binomial count of samples below the median does not exceed with a
    probability of (1 - confidence) / 2. In whole numbers, hence exact. scipy.stats has the same,
    but its import takes longer than a case, and this is asked after every turn.
    """
    tail = Fraction((1 - confidence) / 2)
    rank, ways, total = 0, 1, 1
    while total * tail.denominator < tail.numerator << count:
        rank += 1
        ways = ways * (count - rank + 1) // rank
        total += ways
    return rank


def stopwatch(action: Callable[[], Result]) -> tuple[Result, float]:
    """Do `action` once; its result and the seconds it took."""
    start = perf_counter()
    result = action()
    return result, perf_counter() - start
