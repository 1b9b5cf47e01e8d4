"""The one protocol that times every backend."""

from __future__ import annotations

import gc
import time

import pytest
import torch

from deploybench.backends.base import InProcessSession, SelfTimedSession
from deploybench.errors import WrongAnswer
from deploybench.measure import Protocol, measure, timed_calls
from deploybench.settings import Settings

SETTINGS = Settings(device="cpu", threads=1, interop_threads=1)
BATCHES = [torch.zeros(1), torch.ones(1)]


class Scripted(SelfTimedSession):
    """Another process, played by a list of latencies."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.calls = 0
        self.placed: list[float] = []

    def put(self, batch):
        self.placed.append(batch.item())

    def run(self):
        self.calls += 1

    def timed(self, count):
        self.calls += count
        return [self.seconds] * count

    def output(self):
        return torch.tensor(self.placed[-1])


def test_samples_of_another_process_are_taken_as_they_are():
    session = Scripted(0.1 + 0.2)
    measurement = measure(session, BATCHES, Protocol(min_rounds=20, max_seconds=0), lambda *_: None)
    assert measurement.samples == (0.1 + 0.2,) * 20
    assert measurement.clock == "synchronized_clock_of_own_process"


def test_a_short_call_is_timed_until_the_seconds_are_used():
    protocol = Protocol(min_rounds=20, max_seconds=1.0, block=10)
    measurement = measure(Scripted(0.01), BATCHES, protocol, lambda *_: None)
    assert 100 <= len(measurement.samples) <= 110
    assert measurement.stopped_by == "max_seconds"


def test_a_long_call_is_timed_for_the_least_number_of_rounds():
    protocol = Protocol(min_rounds=20, max_seconds=1.0, block=10)
    assert len(measure(Scripted(3.0), BATCHES, protocol, lambda *_: None).samples) == 20


def test_fewer_rounds_than_a_block_are_possible():
    protocol = Protocol(min_rounds=1, max_seconds=0, block=10)
    assert len(measure(Scripted(3.0), BATCHES, protocol, lambda *_: None).samples) == 1


@pytest.mark.parametrize(("calls_made", "warm_up"), [(0, 5), (3, 2), (9, 0)])
def test_calls_made_before_count_as_warm_up(calls_made, warm_up):
    session = Scripted(3.0)
    measure(session, BATCHES, Protocol(), lambda *_: None, calls_made)
    assert session.calls == warm_up + 20


def test_each_block_gets_another_input_and_its_last_output_is_checked():
    session, seen = Scripted(3.0), []
    measure(
        session,
        BATCHES,
        Protocol(min_rounds=30, block=10),
        lambda number, output: seen.append((number, output.item())),
    )
    assert seen == [(0, 0.0), (1, 1.0), (0, 0.0)]


def test_a_wrong_answer_of_a_timed_call_ends_the_measurement():
    def refuse(number, output):
        raise WrongAnswer("different")

    with pytest.raises(WrongAnswer):
        measure(Scripted(0.01), BATCHES, Protocol(), refuse)


def test_the_clock_is_read_between_synchronisations():
    events = []

    class Session(InProcessSession):
        def synchronize(self):
            events.append("synchronize")

    session = Session(lambda batch: events.append("call") or batch, SETTINGS)
    session.put(torch.zeros(1))
    timed_calls(session, 2)
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
    session.put(torch.zeros(1))
    assert min(timed_calls(session, 3)) >= 0.02


def test_garbage_collection_stays_off_during_the_calls_and_comes_back():
    states = []
    session = InProcessSession(lambda batch: states.append(gc.isenabled()) or batch, SETTINGS)
    session.put(torch.zeros(1))
    timed_calls(session, 1)
    assert states == [False]
    assert gc.isenabled()


def test_calls_run_in_inference_mode():
    states = []
    session = InProcessSession(
        lambda batch: states.append(torch.is_inference_mode_enabled()) or batch, SETTINGS
    )
    session.put(torch.zeros(1))
    timed_calls(session, 1)
    session.predict(torch.zeros(1))
    assert states == [True, True]
