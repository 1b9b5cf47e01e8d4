"""The one protocol that times every backend."""

from __future__ import annotations

import gc
import itertools
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import quantile_test

from deploybench.backends.session import InProcessSession, Session
from deploybench.errors import WrongAnswer
from deploybench.settings import Settings
from deploybench.timing.interleaving import Timing, measure_interleaved
from deploybench.timing.protocol import (
    THROUGHPUT,
    Measurement,
    Protocol,
    half_width,
)

SETTINGS = Settings(device="cpu", threads=1, interop_threads=1)
BATCHES = [torch.zeros(1), torch.ones(1)]


class Scripted(Session):
    """Another process, played by a list of latencies."""

    clock = "synchronized_clock_of_own_process"

    def __init__(self, *seconds: float) -> None:
        self.seconds = itertools.cycle(seconds)
        self.calls = 0
        self.placed: list[float] = []
        self.rests = 0
        self.comes_to_rest = True

    def put(self, batch):
        self.placed.append(batch.item())

    def run(self):
        self.calls += 1

    def timed(self, count, include_copies=False):
        self.calls += count
        return list(itertools.islice(self.seconds, count))

    def queued(self, count, include_copies=False):
        return sum(self.timed(count))

    def device_timed(self, count):
        return []

    def rest(self):
        self.rests += 1
        return self.comes_to_rest

    def output(self):
        return torch.tensor(self.placed[-1])


def measure(session, protocol, check=lambda *_: None, calls_made=0) -> Measurement:
    timing = Timing(session, BATCHES, protocol, check, calls_made)
    measure_interleaved([timing])
    return timing.result()


def test_samples_of_another_process_are_taken_as_they_are():
    measurement = measure(Scripted(0.1 + 0.2), Protocol(min_rounds=20, max_seconds=0))
    assert measurement.samples == (0.1 + 0.2,) * 20
    assert measurement.clock == "synchronized_clock_of_own_process"


def test_an_unsteady_call_is_timed_until_the_seconds_are_used():
    measurement = measure(Scripted(0.01, 0.02), Protocol(max_seconds=1.5))
    assert 95 <= len(measurement.samples) <= 115
    assert measurement.stopped_by == "max_seconds"
    assert measurement.precision > 0.2


def test_a_steady_call_is_timed_until_the_interval_of_its_median_is_narrow_enough():
    measurement = measure(Scripted(0.01), Protocol(max_seconds=100))
    assert len(measurement.samples) == 20
    assert measurement.stopped_by == "precision"
    assert measurement.precision == 0


def test_the_number_of_calls_is_bounded():
    measurement = measure(Scripted(0.01, 0.02), Protocol(max_seconds=1e9, max_rounds=40))
    assert 40 <= len(measurement.samples) <= 45
    assert measurement.stopped_by == "max_rounds"


def test_a_long_call_is_timed_for_the_least_number_of_rounds_in_four_turns():
    measurement = measure(Scripted(3.0, 4.0), Protocol(min_rounds=20, max_seconds=1.0))
    assert measurement.turns == (5, 5, 5, 5)


def test_a_short_call_has_longer_turns_which_begin_with_one_untimed():
    session = Scripted(0.001)
    assert measure(session, Protocol()).turns == (20, 20, 20, 20)
    assert session.calls == 5 + 4 * (1 + 20)


def test_fewer_rounds_than_a_turn_are_possible():
    assert len(measure(Scripted(3.0), Protocol(min_rounds=1, max_seconds=0)).samples) == 1


@pytest.mark.parametrize(("calls_made", "warm_up"), [(0, 5), (3, 2), (9, 1)])
def test_calls_made_before_count_as_warm_up(calls_made, warm_up):
    session = Scripted(3.0)
    measure(session, Protocol(), calls_made=calls_made)
    assert session.calls == warm_up + 20


def test_each_turn_gets_another_input_and_its_last_output_is_checked():
    seen = []
    measure(Scripted(3.0), Protocol(), lambda number, output: seen.append((number, output.item())))
    assert seen == [(0, 0.0), (1, 1.0), (0, 0.0), (1, 1.0)]


def test_a_wrong_answer_of_a_timed_call_ends_that_measurement_alone():
    def refuse(number, output):
        raise WrongAnswer("different")

    wrong = Timing(Scripted(0.01), BATCHES, Protocol(), refuse)
    right = Timing(Scripted(0.01), BATCHES, Protocol(), lambda *_: None)
    measure_interleaved([wrong, right])
    assert len(right.result().samples) >= 20
    with pytest.raises(WrongAnswer):
        wrong.result()


def test_sessions_are_timed_in_turn():
    order = []

    class Noting(Scripted):
        def __init__(self, name):
            super().__init__(3.0)
            self.name = name

        def timed(self, count, include_copies=False):
            if count == 5:
                order.append(self.name)
            return super().timed(count)

    timings = [
        Timing(Noting(name), BATCHES, Protocol(), lambda *_: None, calls_made=9) for name in "ab"
    ]
    measure_interleaved(timings)
    assert order == ["a", "b"] * 4


def test_throughput_has_one_sample_a_turn_with_the_calls_back_to_back():
    measurement = measure(Scripted(0.2), Protocol(metric=THROUGHPUT))
    assert measurement.samples == pytest.approx((0.2,) * 4)
    assert measurement.turns == (1, 1, 1, 1)


@pytest.mark.parametrize("rounds", [2, 7])
def test_the_interval_of_too_few_calls_is_without_bounds(rounds):
    assert half_width([1.0] * rounds, 0.99) == float("inf")


@given(
    samples=st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=300),
    confidence=st.sampled_from([0.6, 0.8, 0.9, 0.95, 0.99, 0.999]),
)
def test_the_interval_of_the_median_is_scipys_to_the_bit(samples, confidence):
    theirs = quantile_test(samples, p=0.5).confidence_interval(confidence_level=confidence)
    width = (theirs.high - theirs.low) / 2 / np.median(samples)
    assert half_width(samples, confidence) == (np.inf if np.isnan(width) else width)


@pytest.mark.parametrize("count", [300, 1000, 5001, 10_000])
def test_the_interval_of_many_samples_is_scipys_too(count):
    samples = np.random.default_rng(count).lognormal(size=count)
    theirs = quantile_test(samples, p=0.5).confidence_interval(confidence_level=0.99)
    assert half_width(samples, 0.99) == (theirs.high - theirs.low) / 2 / np.median(samples)


def test_the_interval_of_the_median_holds_it_as_often_as_it_says():
    random = np.random.default_rng(0)
    held = 0
    for _ in range(500):
        samples = random.lognormal(0, 0.3, size=40)
        width = half_width(samples.tolist(), 0.95) * np.median(samples)
        # The interval is not symmetric: at half its width to both sides it holds a little less.
        held += abs(np.median(samples) - 1.0) <= 1.3 * width
    assert held >= 0.94 * 500


def test_the_clock_is_read_between_synchronisations():
    events = []

    class Session(InProcessSession):
        def synchronize(self):
            events.append("synchronize")

    session = Session(lambda batch: events.append("call") or batch, SETTINGS)
    session.put((torch.zeros(1),))
    session.timed(2)
    assert events == ["synchronize", "call", "synchronize"] * 2


def test_what_the_device_still_has_to_do_is_counted():
    class Queueing(InProcessSession):
        """Calls return at once; the work is done when the device is waited for."""

        queued = 0

        def run(self):
            self.queued += 1

        def synchronize(self):
            time.sleep(0.02 * self.queued)
            self.queued = 0

    session = Queueing(lambda batch: batch, SETTINGS)
    session.put((torch.zeros(1),))
    assert min(session.timed(3)) >= 0.02


def test_garbage_collection_stays_off_during_the_calls_and_comes_back():
    states = []
    session = InProcessSession(lambda batch: states.append(gc.isenabled()) or batch, SETTINGS)
    session.put((torch.zeros(1),))
    session.timed(1)
    assert states == [False]
    assert gc.isenabled()


def test_calls_run_in_inference_mode():
    states = []
    session = InProcessSession(
        lambda batch: states.append(torch.is_inference_mode_enabled()) or batch, SETTINGS
    )
    session.put((torch.zeros(1),))
    session.timed(1)
    session.predict((torch.zeros(1),))
    assert states == [True, True]


def test_queued_calls_are_waited_for_once():
    events = []

    class Session(InProcessSession):
        def synchronize(self):
            events.append("synchronize")

    session = Session(lambda batch: events.append("call") or batch, SETTINGS)
    session.put((torch.zeros(1),))
    assert session.queued(3) > 0
    assert events == ["synchronize", "call", "call", "call", "synchronize"]


def test_copies_are_timed_where_they_are_asked_for():
    events = []

    class Session(InProcessSession):
        def put(self, batch):
            events.append("put")
            super().put(batch)

        def output(self):
            events.append("output")
            return super().output()

    session = Session(lambda batch: batch, SETTINGS)
    session.put((torch.zeros(1),))
    events.clear()
    session.timed(1)
    assert events == []
    session.timed(1, include_copies=True)
    assert events == ["put", "output"]


def test_the_threads_of_a_session_come_to_rest_before_the_next_one_is_timed():
    log: list[str] = []

    class Spinning(Scripted):
        def __init__(self, name):
            super().__init__(0.01)
            self.name = name

        def timed(self, count, include_copies=False):
            log.append(f"{self.name} computes")
            return super().timed(count)

        def rest(self):
            log.append(f"{self.name} rests")
            return True

    protocol = Protocol(min_rounds=10, max_seconds=0, settling_seconds=0)
    one, other = (Timing(Spinning(name), BATCHES, protocol, lambda *_: None) for name in "ab")
    measure_interleaved([one, other])
    assert len(log) > 8
    assert log[:2] == ["a rests", "b rests"]
    assert log[2:] == ["a computes", "a rests", "b computes", "b rests"] * (len(log) // 4)


def test_a_session_that_never_rests_is_not_waited_for_again_and_again():
    session = Scripted(0.01)
    session.comes_to_rest = False
    measurement = measure(session, Protocol(min_rounds=20, max_seconds=0))
    assert len(measurement.turns) > 3
    assert session.rests == 3


def test_threads_come_to_rest_after_a_wrong_answer_too():
    session = Scripted(0.01)

    def check(number, output):
        raise WrongAnswer("wrong")

    with pytest.raises(WrongAnswer):
        measure(session, Protocol(min_rounds=20, max_seconds=0), check)
    assert session.rests == 1 + len(session.placed)
