"""How long one call takes, for each model through each backend, once its answer is right."""

from __future__ import annotations


def test_latency(model, backend, batch_size, models, timed_run, require_agreement, record_latency):
    outcome = timed_run.outcome(models[model], backend, batch_size)
    if outcome.agreement is not None:
        require_agreement(outcome.agreement, "before timing")
    record_latency(outcome)
