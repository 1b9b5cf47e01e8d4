"""Clocks, warm-up, and when enough is enough: one protocol for every backend."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

from .backends.base import InProcessSession, SelfTimedSession, Session

if TYPE_CHECKING:
    from torch import Tensor

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


def timed_calls(session: Session, count: int, include_copies: bool = False) -> list[float]:
    """Call the model `count` times; the seconds of each call.

    A session in another process times itself the same way: synchronise, read the clock, call,
    synchronise, read the clock.
    """
    if isinstance(session, SelfTimedSession):
        return session.timed(count, include_copies)
    assert isinstance(session, InProcessSession)
    call = session.run_with_copies if include_copies else session.run
    samples = []
    with session.calling(), _no_garbage_collection():
        for _ in range(count):
            session.synchronize()
            start = perf_counter()
            call()
            session.synchronize()
            samples.append(perf_counter() - start)
    return samples


def queued_calls(session: Session, count: int, include_copies: bool = False) -> float:
    """Call the model `count` times with one synchronise at the end; the seconds in all."""
    if isinstance(session, SelfTimedSession):
        return session.queued(count, include_copies)
    assert isinstance(session, InProcessSession)
    call = session.run_with_copies if include_copies else session.run
    with session.calling(), _no_garbage_collection():
        session.synchronize()
        start = perf_counter()
        for _ in range(count):
            call()
        session.synchronize()
        return perf_counter() - start


def device_timed_calls(session: Session, count: int) -> list[float]:
    """Seconds of each of `count` calls between two CUDA events; none where there is no CUDA."""
    if isinstance(session, SelfTimedSession):
        return session.device_timed(count)
    assert isinstance(session, InProcessSession)
    if not session.on_cuda:
        return []
    import torch

    samples = []
    with session.calling():
        for _ in range(count):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            session.run()
            end.record()
            session.synchronize()
            samples.append(start.elapsed_time(end) / 1e3)
    return samples


def clock_name(session: Session) -> str:
    """What times the calls of `session`."""
    if isinstance(session, SelfTimedSession):
        return "synchronized_clock_of_own_process"
    return "synchronized_perf_counter"


def stopwatch(action: Callable[[], Result]) -> tuple[Result, float]:
    """Do `action` once; its result and the seconds it took."""
    start = perf_counter()
    result = action()
    return result, perf_counter() - start


class Timing:
    """One session being timed, turn by turn.

    batches: the inputs; each turn takes the next in turn, so that an answer left over from another
    turn is a wrong answer. check(n, output): sees the output of a turn's last timed call on batch n
    and raises if it is wrong. calls_made: calls that the session has served already, which count as
    warm-up. failure: what ended it before it was measured.
    """

    def __init__(
        self,
        session: Session,
        batches: Sequence[Tensor],
        protocol: Protocol,
        check: Callable[[int, Tensor], None],
        calls_made: int = 0,
    ) -> None:
        self._session = session
        self._batches = batches
        self._protocol = protocol
        self._check = check
        self._calls_made = calls_made
        self._calls = 0
        self._call_seconds = 0.0
        self._elapsed = 0.0
        self._samples: list[float] = []
        self._turns: list[int] = []
        self.stopped_by = ""
        self.failure: Exception | None = None

    @property
    def ended(self) -> bool:
        """Whether no further turn is due."""
        return bool(self.stopped_by) or self.failure is not None

    def warm_up(self) -> None:
        """Make what is left of the warm-up calls, one at the least."""
        self._session.put(self._batches[0])
        due = max(1, self._protocol.warm_up_calls - self._calls_made)
        seconds = timed_calls(self._session, due, self._protocol.include_copies)
        self._call_seconds = seconds[-1]
        self._calls = self._protocol.calls_in_a_turn(seconds[-1])

    def turn(self) -> None:
        """Time some calls."""
        protocol = self._protocol
        number = len(self._turns) % len(self._batches)
        self._session.put(self._batches[number])
        if self._call_seconds < protocol.settling_seconds:
            # Whoever had the turn before left the caches his, and his threads still fall asleep.
            timed_calls(self._session, 1, protocol.include_copies)
        if protocol.metric == THROUGHPUT:
            seconds = queued_calls(self._session, self._calls, protocol.include_copies)
            samples = [seconds / self._calls]
        else:
            samples = timed_calls(self._session, self._calls, protocol.include_copies)
            seconds = sum(samples)
        self._check(number, self._session.output())
        self._samples += samples
        self._turns.append(len(samples))
        self._elapsed += seconds
        turns = len(self._turns)
        self.stopped_by = protocol.stopped_by(
            self._samples, turns, turns * self._calls, self._elapsed
        )

    def result(self) -> Measurement:
        """What was measured; raises what ended it early."""
        if self.failure is not None:
            raise self.failure
        return Measurement(
            tuple(self._samples),
            tuple(self._turns),
            tuple(device_timed_calls(self._session, 10)),
            clock_name(self._session),
            self.stopped_by,
            half_width(self._samples, self._protocol.confidence),
        )


def measure_in_turn(timings: Sequence[Timing]) -> None:
    """Time several sessions side by side, a turn of each after the other, until all have ended.

    What slows the machine down for a while then hits them alike. One that fails ends alone.
    """
    for timing in timings:
        _attempt(timing, timing.warm_up)
    while under_way := [timing for timing in timings if not timing.ended]:
        for timing in under_way:
            _attempt(timing, timing.turn)


def _attempt(timing: Timing, action: Callable[[], None]) -> None:
    try:
        action()
    except Exception as error:
        timing.failure = error


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
