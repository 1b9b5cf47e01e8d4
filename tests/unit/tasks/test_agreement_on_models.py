"""The correctness gate can say no: every planted fault is caught, in real models."""

from __future__ import annotations

import pytest

from deploybench import settings
from deploybench.models import weights
from deploybench.runner.workbench import Plan, Workbench
from deploybench.tasks.agreement import EXACT, judge
from validation.faults import FAULTS, predict

MODELS = ("resnet18", "mobilenet_v3_small", "densenet121", "vit_b_16", "inception_v3")


@pytest.fixture(scope="module", params=MODELS)
def subject(request):
    plan = Plan(settings=settings.resolve("cpu"), weights=weights.parse("random"))
    with Workbench(plan) as bench:
        yield bench.subject(request.param)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_caught(subject, fault):
    # One batch for all, on both sides, so that only the fault can make a difference.
    reference = subject.reference(len(subject.images))
    missed = {
        name: agreement.error
        for name, output in fault(subject)
        if (agreement := judge(output, reference)).agrees
    }
    assert not missed
    mended = judge(predict(subject.module, subject.images), reference)
    assert mended.verdict == EXACT, "a fault stayed in the model after its test"
