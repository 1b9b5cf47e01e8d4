"""All backends of a model side by side: what is saved of it, and when."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from deploybench import settings
from deploybench.errors import BackendFailed, BackendUnavailable
from deploybench.machine.interference import Watch
from deploybench.models import torchvision_zoo, weights
from deploybench.records.record import CaseRecord
from deploybench.runner.cold_start import ColdStart
from deploybench.runner.opened_case import OpenedCase
from deploybench.runner.prepared_model import Plan
from deploybench.runner.scheduler import Scheduler
from deploybench.runner.workbench import Workbench
from deploybench.timing.protocol import Protocol

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
