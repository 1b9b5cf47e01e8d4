"""How long one call takes, for each model through each backend, once its answer is right."""

from __future__ import annotations


def test_latency(model, backend, workbench, protocol, require_agreement, record_latency):
    with workbench.case(model, backend) as case:
        agreement = case.check(workbench.plan.batch_size)
        require_agreement(agreement, "before timing")
        measurement = case.measure(protocol)
    record_latency(case, agreement, measurement)
