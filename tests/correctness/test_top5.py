"""Whether each model, through each backend, gives eager's answer: top five classes and logits."""

from __future__ import annotations


def test_top5(model, backend, batch_size, workbench, models, require_agreement):
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
