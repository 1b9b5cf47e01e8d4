"""Whether each model gives its reference's answer through each backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..models import Model
    from ..runner.workbench import Workbench
    from ..tasks.agreement import Agreement


def test_answers(
    model: str,
    backend: str,
    batch_size: int,
    models: dict[str, Model],
    workbench: Workbench,
    require_agreement: Callable[[Agreement, str], None],
    require_budget: Callable[[Agreement], None],
) -> None:
    """Check a case before it is saved and after it is loaded, also for a batch of one."""
    with workbench.case(models[model], backend, batch_size) as case:
        sizes = {batch_size}
        if case.backend.any_batch_size:
            sizes.add(1)
        for size in sorted(sizes):
            checked = f"batch size {size}"
            before = case.check_before_save(size)
            if before is not None:
                require_agreement(before, f"before the save, {checked}")
            agreement = case.check(size)
            require_agreement(agreement, checked)
            require_budget(agreement)
