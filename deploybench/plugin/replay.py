"""Replays measured latencies into pytest-benchmark's statistics, exact to the bit.

pytest-benchmark computes a round as the difference of two readings of its timer. The timer here
is set to 0 before a round and to the next sample within it, so each difference is exactly the
sample. The saved run records the timer's name, which is the clock that the samples came from.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from ..timing.protocol import Protocol


class SampleClock:
    """A timer that returns the value it was last set to, in seconds."""

    def __init__(self, name: str) -> None:
        self.__name__ = name
        self.reading = 0.0

    def __call__(self) -> float:
        """The reading in seconds."""
        return self.reading


def replay(
    request: pytest.FixtureRequest,
    samples: Sequence[float],
    clock_name: str,
    group: str,
    protocol: Protocol,
) -> BenchmarkFixture:
    """Replay `samples`, in seconds, in this test's `benchmark` fixture, which must be unused.

    Returns the fixture, whose extra_info is still empty.
    """
    clock = SampleClock(clock_name)
    # The fixture reads the closest marker when it is created, so the marker comes first.
    marker = pytest.mark.benchmark(
        group=group, timer=clock, warmup=True, warmup_iterations=protocol.warm_up_calls
    )
    request.node.add_marker(marker, append=False)
    fixture = request.getfixturevalue("benchmark")
    remaining = iter(samples)

    def start() -> None:
        clock.reading = 0.0

    def next_sample() -> None:
        clock.reading = next(remaining)

    fixture.pedantic(next_sample, setup=start, rounds=len(samples))
    return fixture
