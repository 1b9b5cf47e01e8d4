"""The correctness gate can say no: every planted fault is caught, in real models."""

from __future__ import annotations

import pytest

from deploybench import settings
from deploybench.batches import size
from deploybench.models import torchvision_zoo, weights
from deploybench.runner.prepared_model import Plan
from deploybench.runner.workbench import Workbench
from deploybench.tasks.agreement import EXACT, judge
from validation.faults import FAULTS, predict

QUICK = ("resnet18", "mobilenet_v3_small")
MODELS = (
    *QUICK,
    *(
        pytest.param(name, marks=pytest.mark.sweep)
        for name in ("densenet121", "vit_b_16", "inception_v3")
    ),
)


@pytest.fixture(scope="module", params=MODELS)
def prepared(request):
    plan = Plan(settings=settings.resolve("cpu"), weights=weights.parse("random"))
    with Workbench(plan) as bench:
        yield bench.prepared(torchvision_zoo.model(request.param))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_caught(prepared, fault):
    # One batch for all, on both sides, so that only the fault can make a difference.
    reference = prepared.reference(size(prepared.inputs))
    missed = {
        name: agreement.error
        for name, output in fault(prepared)
        if (agreement := judge(output, reference, prepared.task)).agrees
    }
    assert not missed
    mended = judge(predict(prepared.module, *prepared.inputs), reference, prepared.task)
    assert mended.verdict == EXACT, "a fault stayed in the model after its test"
