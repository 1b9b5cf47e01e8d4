"""How long one call takes, for each model through each backend, once its answer is right."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="package")
def check_inputs() -> int:
    """Fewer than the check alone takes: the check comes before every number."""
    return 2


def test_latency(
    model: str,
    backend: str,
    batch_size: int,
    models: Any,
    timed_run: Any,
    require_agreement: Any,
    record_latency: Any,
) -> None:
    """Time the case, unless its answer is wrong."""
    outcome = timed_run.outcome(models[model], backend, batch_size)
    if outcome.agreement is not None:
        require_agreement(outcome.agreement, "before timing")
    record_latency(outcome)
