"""All backends of a model side by side: what is saved of it, and when."""

from __future__ import annotations

import pytest

from deploybench import settings, weights
from deploybench.comparison import Comparison
from deploybench.measure import Protocol
from deploybench.noise import Watch
from deploybench.workbench import Case, Plan, Workbench

MODEL = "squeezenet1_1"
BACKENDS = ["eager", "scripted"]


def test_all_of_a_model_is_saved_before_its_first_cold_start(monkeypatch):
    # Whoever breaks the run off then must not have half a model, to be paired with another day's.
    def broken_off(case):
        raise KeyboardInterrupt

    monkeypatch.setattr(Case, "cold_start", broken_off)
    saved = []
    plan = Plan(settings.resolve("cpu", threads=1), weights.parse("random"), inputs=2)
    with Workbench(plan) as bench:
        comparison = Comparison(
            bench,
            Protocol(max_seconds=0.0),
            {(MODEL, 1): BACKENDS},
            Watch("cpu"),
            saved=lambda model, backend, size, result: saved.append(backend),
            cold_start=True,
        )
        with pytest.raises(KeyboardInterrupt):
            comparison.outcome(MODEL, "eager", 1)
    assert saved == BACKENDS
