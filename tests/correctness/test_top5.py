"""Whether each model, through each backend, gives eager's answer: top five classes and logits."""

from __future__ import annotations


def test_top5(model, backend, workbench, require_agreement):
    with workbench.case(model, backend) as case:
        sizes = {workbench.plan.batch_size}
        if case.backend.any_batch_size:
            sizes.add(1)
        for batch_size in sorted(sizes):
            checked = f"batch size {batch_size}"
            before = case.check_before_save(batch_size)
            if before is not None:
                require_agreement(before, f"before the save, {checked}")
            require_agreement(case.check(batch_size), checked)
