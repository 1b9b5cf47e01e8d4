"""Times sessions interleaved, some calls of each per round, so that all see the same machine.

A turn is the calls of one session in one round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..backends.session import Session
from ..batches import Batch
from .protocol import THROUGHPUT, Measurement, Protocol, half_width

MOST_IN_VAIN = 3
"""How often a session's threads may take too long to come to rest."""


class Timing:
    """One session being timed, turn by turn.

    batches: the inputs; each turn takes the next one, so an output left over from an earlier turn
    is a wrong answer. check(n, output): gets the output of a turn's last timed call on batch n and
    raises if it is wrong. calls_made: earlier calls of the session, which count as warm-up.
    failure: the error that ended the timing early.
    """

    def __init__(
        self,
        session: Session,
        batches: Sequence[Batch],
        protocol: Protocol,
        check: Callable[[int, Any], None],
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
        self._waited_in_vain = 0
        self.stopped_by = ""
        self.failure: BaseException | None = None

    @property
    def ended(self) -> bool:
        """Whether no further turn is due."""
        return bool(self.stopped_by) or self.failure is not None

    def warm_up(self) -> None:
        """Make the remaining warm-up calls, at least one."""
        self._session.put(self._batches[0])
        due = max(1, self._protocol.warm_up_calls - self._calls_made)
        seconds = self._session.timed(due, self._protocol.include_copies)
        self._call_seconds = seconds[-1]
        self._calls = self._protocol.calls_in_a_turn(seconds[-1])

    def turn(self) -> None:
        """Time the calls of one turn."""
        protocol = self._protocol
        number = len(self._turns) % len(self._batches)
        self._session.put(self._batches[number])
        if self._call_seconds < protocol.settling_seconds:
            # The session before this one has filled the caches, and the threads of this one sleep.
            self._session.timed(1, protocol.include_copies)
        if protocol.metric == THROUGHPUT:
            seconds = self._session.queued(self._calls, protocol.include_copies)
            samples = [seconds / self._calls]
        else:
            samples = self._session.timed(self._calls, protocol.include_copies)
            seconds = sum(samples)
        self._check(number, self._session.output())
        self._samples += samples
        self._turns.append(len(samples))
        self._elapsed += seconds
        turns = len(self._turns)
        self.stopped_by = protocol.stopped_by(
            self._samples, turns, turns * self._calls, self._elapsed
        )

    def rest(self) -> None:
        """Wait until the session's threads rest, unless that was often in vain."""
        if self._waited_in_vain < MOST_IN_VAIN and not self._session.rest():
            self._waited_in_vain += 1

    def result(self) -> Measurement:
        """The measurement; raises the error that ended the timing early."""
        if self.failure is not None:
            raise self.failure
        return Measurement(
            tuple(self._samples),
            tuple(self._turns),
            tuple(self._session.device_timed(10)),
            self._session.clock,
            self.stopped_by,
            half_width(self._samples, self._protocol.confidence),
            tuple(self._session.neighbours()),
        )


def measure_interleaved(timings: Sequence[Timing]) -> None:
    """Time several sessions interleaved, round by round, until all have ended.

    A slow spell of the machine then slows all of them. Between two sessions, the threads of the
    first come to rest. A session that fails does not end the others.
    """
    for timing in timings:
        _attempt(timing, timing.rest)
    for timing in timings:
        _attempt(timing, timing.warm_up, timing.rest)
    while under_way := [timing for timing in timings if not timing.ended]:
        for timing in under_way:
            _attempt(timing, timing.turn, timing.rest)


def _attempt(timing: Timing, *steps: Callable[[], None]) -> None:
    """Take each step, also after one that failed."""
    for step in steps:
        try:
            step()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a backend's own kind of error ends that backend alone
            timing.failure = timing.failure or error
