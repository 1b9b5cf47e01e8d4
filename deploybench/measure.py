"""Clocks, warm-up, and when enough is enough: one protocol for every backend."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

from .backends.base import InProcessSession, SelfTimedSession, Session

if TYPE_CHECKING:
    from torch import Tensor

Result = TypeVar("Result")


@dataclass(frozen=True)
class Protocol:
    """How a case is measured.

    warm_up_calls: untimed calls before the first timed one; TorchScript profiles on its first call
    and optimises on its second, so at least 5. min_rounds: timed calls at the least. max_seconds:
    no new block of calls begins once the timed calls add up to this. block: calls between two looks
    at the output, or min_rounds if those are fewer.
    """

    warm_up_calls: int = 5
    min_rounds: int = 20
    max_seconds: float = 0.5
    block: int = 10

    def stopped_by(self, samples: Sequence[float]) -> str:
        """The bound that ends a case with these `samples`; empty if it goes on."""
        if len(samples) < self.min_rounds:
            return ""
        return "max_seconds" if sum(samples) >= self.max_seconds else ""


@dataclass(frozen=True)
class Measurement:
    """The latency of one case.

    samples: seconds of each timed call, device synchronised at both ends. clock: the name of what
    timed them. stopped_by: which bound ended it.
    """

    samples: tuple[float, ...]
    clock: str
    stopped_by: str

    @property
    def median(self) -> float:
        """The median in seconds."""
        return median(self.samples)


def timed_calls(session: Session, count: int) -> list[float]:
    """Call the model `count` times on the input in place; the seconds of each call.

    A session in another process times itself the same way: synchronise, read the clock, call,
    synchronise, read the clock.
    """
    if isinstance(session, SelfTimedSession):
        return session.timed(count)
    assert isinstance(session, InProcessSession)
    samples = []
    with session.calling(), _no_garbage_collection():
        for _ in range(count):
            session.synchronize()
            start = perf_counter()
            session.run()
            session.synchronize()
            samples.append(perf_counter() - start)
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


def measure(
    session: Session,
    batches: Sequence[Tensor],
    protocol: Protocol,
    check: Callable[[int, Tensor], None],
    calls_made: int = 0,
) -> Measurement:
    """Time `session` by `protocol`, in blocks.

    Each block takes the next of `batches` in turn, so that an answer left over from another block
    is a wrong answer; check(n, output) sees the output of the block's last timed call on batch n
    and raises if it is wrong. calls_made: calls that the session has served already, which count
    as warm-up.
    """
    session.put(batches[0])
    timed_calls(session, max(0, protocol.warm_up_calls - calls_made))
    samples: list[float] = []
    block = 0
    while not (stopped_by := protocol.stopped_by(samples)):
        number = block % len(batches)
        session.put(batches[number])
        samples += timed_calls(session, min(protocol.block, protocol.min_rounds))
        check(number, session.output())
        block += 1
    return Measurement(tuple(samples), clock_name(session), stopped_by)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
