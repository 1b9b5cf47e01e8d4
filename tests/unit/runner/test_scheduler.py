"""All backends of a model, interleaved: what is saved, and when."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import pytest
import torch

from deploybench import settings
from deploybench.errors import BackendFailed, BackendUnavailable
from deploybench.machine.interference import Disturbance, Limits, Watch
from deploybench.models import torchvision_zoo, weights
from deploybench.models.model import OF_THE_RUN
from deploybench.records.record import CaseRecord
from deploybench.runner.cold_start import ColdStart
from deploybench.runner.opened_case import OpenedCase
from deploybench.runner.prepared_model import Plan
from deploybench.runner.scheduler import PATIENCE, Scheduler
from deploybench.runner.workbench import Workbench
from deploybench.timing.protocol import Protocol

from ..tiny import MODEL as TINY

MODEL = "squeezenet1_1"
ZOO_MODEL = torchvision_zoo.model(MODEL)
BACKENDS = ["eager", "scripted"]


@pytest.fixture
def compare():
    """A function that times the model, saving into a list; closes the workbench afterwards."""
    with ExitStack() as stack:

        def begin(backends, known=None, **options):
            plan = Plan(settings.resolve("cpu", threads=1), weights.parse("random"), inputs=2)
            bench = stack.enter_context(Workbench(plan))
            saved = []
            comparison = Scheduler(
                bench,
                Protocol(max_seconds=0.0),
                {(MODEL, 1): backends},
                Watch("cpu"),
                known,
                lambda model, size, results: saved.append(dict(results)),
                **options,
            )
            return comparison, saved

        yield begin


def test_all_of_a_model_is_saved_before_its_first_cold_start(compare, monkeypatch):
    # Whoever breaks the run off then must not have half a model, to be paired with another day's.
    def broken_off(case):
        raise KeyboardInterrupt

    monkeypatch.setattr(OpenedCase, "cold_start", broken_off)
    comparison, saved = compare(BACKENDS, cold_start=True)
    with pytest.raises(KeyboardInterrupt):
        comparison.outcome(ZOO_MODEL, "eager", 1)
    assert [list(results) for results in saved] == [BACKENDS]


def test_a_case_that_cannot_start_cold_keeps_no_number(compare, monkeypatch):
    def fails_once(case):
        if case.backend.name == "scripted":
            raise BackendFailed("a fresh process gave no answer")
        return ColdStart(1.0, 1)

    monkeypatch.setattr(OpenedCase, "cold_start", fails_once)
    comparison, saved = compare(BACKENDS, cold_start=True)
    assert comparison.outcome(ZOO_MODEL, "scripted", 1).result is None
    assert list(saved[-1]) == ["eager"]


def known_results(*backends, seconds=None):
    known = {"clock": "another day's", "cold_start_seconds": seconds}
    return {
        (MODEL, backend, 1): CaseRecord(MODEL, backend, backend, 0, (1.0,), **known)
        for backend in backends
    }


def test_what_another_run_found_of_a_whole_model_is_taken_over(compare):
    comparison, saved = compare([*BACKENDS, "cudagraph"], known_results(*BACKENDS))
    outcomes = [comparison.outcome(ZOO_MODEL, backend, 1) for backend in BACKENDS]
    assert [outcome.result.clock for outcome in outcomes] == ["another day's"] * 2
    # What this machine cannot run is not missing.
    assert isinstance(comparison.outcome(ZOO_MODEL, "cudagraph", 1).failure, BackendUnavailable)
    assert saved == []


def test_half_a_model_is_timed_again_whole(compare):
    # One backend's turns of today are no pair to another's of the day before.
    comparison, saved = compare(BACKENDS, known_results("eager"))
    assert comparison.outcome(ZOO_MODEL, "eager", 1).result.clock != "another day's"
    assert list(saved[-1]) == BACKENDS


def test_a_model_without_its_cold_starts_is_not_whole(compare, monkeypatch):
    monkeypatch.setattr(OpenedCase, "cold_start", lambda case: ColdStart(2.0, 1))
    comparison, _ = compare(BACKENDS, known_results(*BACKENDS), cold_start=True)
    result = comparison.outcome(ZOO_MODEL, "eager", 1).result
    assert result.cold_start_seconds == 2.0


def test_a_model_is_not_taken_over_from_a_run_of_another_state_dict(tmp_path):
    module = TINY.built()
    torch.save(module.state_dict(), tmp_path / "tiny.pth")
    model = replace(TINY, weights=OF_THE_RUN)
    plan = Plan(settings.resolve("cpu", threads=1), weights.parse(str(tmp_path)), inputs=2)
    with Workbench(plan) as bench:
        digest = bench.weights_digest(model, 1)
        for known, taken_over in ((digest, True), ("another", False)):
            result = CaseRecord(
                *("tiny", "eager", "PyTorch", 0, (1.0,)), clock="before", weights_digest=known
            )
            scheduler = Scheduler(
                bench,
                Protocol(max_seconds=0.0),
                {("tiny", 1): ["eager"]},
                Watch("cpu"),
                {("tiny", "eager", 1): result},
            )
            outcome = scheduler.outcome(model, "eager", 1)
            assert (outcome.result.clock == "before") == taken_over
            assert outcome.result.weights_digest == (known if taken_over else digest)


class PlayedWatch:
    """A watch that sees what a test says, attempt by attempt: the load of other processes."""

    limits = Limits()

    def __init__(self, *loads: float) -> None:
        self.loads = list(loads)

    def look(self):
        return None

    def between(self, start, end):
        return Disturbance(other_load=self.loads.pop(0))


def timed(models, *loads):
    """The records of models that were timed while others used so much of the cores."""
    watch = PlayedWatch(*loads)
    plan = Plan(settings.resolve("cpu", threads=1), weights.RANDOM, inputs=2)
    backends = {(model.name, 1): BACKENDS for model in models}
    with Workbench(plan) as bench:
        scheduler = Scheduler(bench, Protocol(max_seconds=0.0), backends, watch)
        records = [scheduler.outcome(model, "scripted", 1).result for model in models]
    assert watch.loads == []
    return scheduler, records


def numbered(count):
    return [replace(TINY, name=f"tiny{number}") for number in range(count)]


def test_an_undisturbed_model_is_timed_once():
    scheduler, (record,) = timed([TINY], 0.0)
    assert (record.attempts, record.disturbed) == (1, ())
    assert (scheduler.repeated, scheduler.disturbed) == (0, 0)


def test_a_disturbed_model_is_timed_again_and_the_undisturbed_attempt_counts():
    scheduler, (record,) = timed([TINY], 0.5, 0.0)
    assert (record.attempts, record.disturbed) == (2, ())
    assert (scheduler.repeated, scheduler.disturbed) == (1, 0)


@pytest.mark.parametrize("loads", [(0.5, 0.3), (0.3, 0.5)])
def test_of_two_disturbed_attempts_the_lesser_counts_and_is_marked(loads):
    scheduler, (record,) = timed([TINY], *loads)
    assert record.disturbed == ("other processes used 30% of the cores",)
    assert (scheduler.repeated, scheduler.disturbed) == (1, 1)


def test_where_repeating_never_helps_it_is_given_up():
    # Three models in vain, and from then on each is timed once; one quiet model brings it back.
    loads = [0.5, 0.5] * PATIENCE + [0.5, 0.5] + [0.0] + [0.5, 0.0]
    scheduler, records = timed(numbered(PATIENCE + 4), *loads)
    assert [record.attempts for record in records] == [2] * PATIENCE + [1, 1, 1, 2]
    assert scheduler.disturbed == PATIENCE + 2


def test_a_backend_that_fails_while_timed_is_not_timed_again(monkeypatch):
    monkeypatch.setattr(
        "deploybench.runner.opened_case.OpenedCase.timing",
        lambda case, protocol: (
            Failing() if case.backend.name == "eager" else TIMING(case, protocol)
        ),
    )
    scheduler, (record,) = timed([TINY], 0.5)
    assert record.attempts == 1
    assert isinstance(scheduler.outcome(TINY, "eager", 1).failure, BackendFailed)


TIMING = OpenedCase.timing


class Failing:
    """A session that is wrong from its first timed call on."""

    ended = True
    failure = None

    def warm_up(self):
        pass

    def rest(self):
        pass

    def result(self):
        raise BackendFailed("no kernel")
