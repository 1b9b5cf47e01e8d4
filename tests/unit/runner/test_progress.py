"""What a run tells of itself, and how long it will take."""

from __future__ import annotations

import pytest

from deploybench.runner.options import RunOptions
from deploybench.runner.progress import (
    CHECKING,
    EXPORTING,
    LOADING,
    PREPARING,
    TIMING,
    Estimate,
    Stage,
    duration,
)
from deploybench.runner.run import Run
from deploybench.timing.interleaving import Timing
from tests.unit.runner.test_run import MODEL, QUICK


def test_each_stage_is_told_before_it_begins_and_nothing_while_calls_are_timed(monkeypatch):
    told: list[tuple[str, tuple[str, ...]]] = []
    turn = Timing.turn

    def noted(timing: Timing) -> None:
        told.append(("turn", ()))
        turn(timing)

    monkeypatch.setattr(Timing, "turn", noted)
    options = RunOptions([MODEL], ["eager", "scripted"], **QUICK)
    with Run(options, tell=lambda stage: told.append((stage.doing, stage.backends))) as run:
        run.outcome(MODEL, "scripted", 1)
    both = ("eager", "scripted")
    first = told.index(("turn", ()))
    assert told[:first] == [
        (PREPARING, both),
        (LOADING, ("eager",)),
        (CHECKING, ("eager",)),
        (EXPORTING, ("scripted",)),
        (LOADING, ("scripted",)),
        (CHECKING, ("scripted",)),
        (TIMING, both),
    ]
    assert {doing for doing, _ in told[first:]} <= {"turn", "timing again"}


def test_the_rest_is_estimated_from_what_models_took():
    estimate = Estimate({("a", 1): 2, ("b", 1): 3, ("c", 1): 1}, bound=0.5)
    assert str(estimate) == "up to 3 s of timed calls left"
    estimate.add("a", 1, 20.0)
    assert estimate.left == 40.0
    estimate.add("b", 1, 10.0)
    assert estimate.left == 6.0
    assert str(estimate) == "about 6 s left"
    estimate.add("b", 1, 0.0)
    assert estimate.measured == 5


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "1 s"), (89.4, "89 s"), (90.0, "2 min"), (3599.0, "1 h 0 min"), (7500.0, "2 h 5 min")],
)
def test_a_duration_is_in_words(seconds, words):
    assert duration(seconds) == words


def test_a_stage_names_its_backend_or_how_many_there_are():
    assert str(Stage("net", 1, EXPORTING, ("cpp",))) == "net: exporting cpp"
    assert str(Stage("net", 1, TIMING, ("eager", "cpp"))) == "net: timing 2 backends"
