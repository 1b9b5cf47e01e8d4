"""Whether each model, through each backend, gives eager's answer."""

from __future__ import annotations

from typing import Any


def test_answers(
    model: str, backend: str, batch_size: int, workbench: Any, models: Any, require_agreement: Any
) -> None:
    """Check the artifact as it was in memory, if it was, and as it was loaded."""
    with workbench.case(models[model], backend, batch_size) as case:
        sizes = {batch_size}
        if case.backend.any_batch_size:
            sizes.add(1)
        for size in sorted(sizes):
            checked = f"batch size {size}"
            before = case.check_before_save(size)
            if before is not None:
                require_agreement(before, f"before the save, {checked}")
            require_agreement(case.check(size), checked)
