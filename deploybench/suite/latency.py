"""How long one call takes, for each model through each backend, once its answer is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..models import Model
    from ..runner.run import Run
    from ..runner.scheduler import Outcome
    from ..tasks.agreement import Agreement


def test_latency(
    model: str,
    backend: str,
    batch_size: int,
    models: dict[str, Model],
    timed_run: Run,
    require_agreement: Callable[[Agreement, str], None],
    record_latency: Callable[[Outcome], None],
) -> None:
    """Time a case whose answers agree with the reference, before and while it is timed."""
    outcome = timed_run.outcome(models[model], backend, batch_size)
    if outcome.agreement is not None:
        require_agreement(outcome.agreement, "before timing")
    record_latency(outcome)
