"""Models that cannot run in float64, and what their users say about the right answer."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import deploybench
from deploybench import settings
from deploybench.errors import BackendFailed, UsageError
from deploybench.models.weights import RANDOM
from deploybench.runner.prepared_model import Plan
from deploybench.runner.workbench import Workbench

from ..tiny import MODEL, Tiny


class OnlyFloat32(Tiny):
    """Its kernel takes float32 alone: a constant that is neither parameter nor buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.mixing = [torch.eye(10) + 0.1]

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) @ self.mixing[0]


def mixed(x: Tensor) -> Tensor:
    torch.manual_seed(0)
    module = OnlyFloat32().eval()
    module.mixing = [module.mixing[0].double()]
    return module.double()(x.double())


FLOAT32 = replace(MODEL, name="only_float32", build=OnlyFloat32, reference=None)


@pytest.fixture(scope="module")
def plan():
    return Plan(settings.resolve("cpu"), RANDOM, inputs=2)


def check(plan, model):
    with Workbench(plan) as bench, bench.case(model, "eager") as case:
        return case.check(1)


def test_without_a_reference_the_user_is_told_in_one_line(plan):
    with pytest.raises(BackendFailed) as caught:
        check(plan, FLOAT32)
    message = str(caught.value)
    assert "only_float32 cannot run in float64" in message
    assert "tolerance=" in message
    assert "reference_output=" in message
    assert "\n" not in message


def test_a_tolerance_is_the_distance_from_eager_that_is_allowed(plan):
    model = replace(FLOAT32, tolerance=0.01)
    with Workbench(plan) as bench, bench.case(model, "eager") as case:
        assert case.check(1).agrees
        prepared = case.prepared
        assert next(prepared.module.parameters()).dtype == torch.float32
        answer = torch.cat([prepared.module(*each).detach() for each in prepared.batches(1)])
        reference = prepared.reference(1)
        for distance, agrees in ((0.009, True), (0.011, False)):
            output = answer.clone()
            output[0, output[0].argmin()] -= distance
            assert prepared.task.judge(output, reference).agrees is agrees


def test_a_reference_function_says_what_is_right(plan):
    assert check(plan, replace(FLOAT32, reference_output=mixed)).agrees


def test_a_reference_function_that_says_otherwise_is_not_passed(plan):
    wrong = replace(FLOAT32, reference_output=lambda x: 2 * mixed(x))
    agreement = check(plan, wrong)
    assert not agreement.agrees
    assert "eager itself differs" in agreement.reason
    agreement = check(plan, replace(wrong, tolerance=1e-3))
    assert "more than the model's tolerance of 0.001" in agreement.reason


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: mixed(x)[:, :3], "must return what the model returns"),
        (lambda x: mixed(x)[:, :1], "must return what the model returns"),
        (lambda x: {"logits": mixed(x)}, "must return what the model returns"),
        (lambda x: x.no_such_method(), "failed: AttributeError"),
        (lambda: None, "failed: TypeError"),
        ("a text", "not a function"),
    ],
    ids=["shape", "shape that fits", "parts", "raises", "takes nothing", "no function"],
)
def test_a_reference_function_that_cannot_be_used_is_named(plan, function, words):
    with pytest.raises(UsageError, match=words) as caught:
        check(plan, replace(FLOAT32, reference_output=function))
    assert "only_float32" in str(caught.value)


@pytest.mark.parametrize("tolerance", [0.0, -1.0, float("inf"), float("nan")])
def test_a_tolerance_must_be_positive_and_finite(plan, tolerance):
    with pytest.raises(UsageError, match="tolerance"):
        check(plan, replace(MODEL, tolerance=tolerance))


class Even(deploybench.Task):
    """Only the sign of the first number counts."""

    name = "sign"

    def fault(self, output, reference):
        (found,), (expected,) = output.values(), reference.tensors.values()
        wrong = (found[:, 0] > 0) != (expected.expected[:, 0] > 0)
        return "the sign is wrong" if wrong.any() else ""


def test_an_own_task_judges_beside_the_distance(plan):
    model = replace(MODEL, name="signed", task=Even(), tolerance=100.0)
    with Workbench(plan) as bench, bench.case(model, "eager") as case:
        assert case.check(1).agrees
        reference = case.prepared.reference(1)
        eager = reference.tensors[""].eager
        assert case.prepared.task.judge(-eager, reference).reason == "the sign is wrong"


class Pairs(nn.Module):
    """Boxes of varying number: as many as the first pixel of an image says."""

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        found: list[dict[str, Tensor]] = []
        for image in images:
            count = 1 + int((image[0, 0, 0].abs() * 10).long()) % 4
            corner = 40.0 * torch.arange(count, dtype=image.dtype).unsqueeze(1) + image.mean()
            boxes = torch.cat([corner, corner, corner + 20.0, corner + 30.0], dim=1)
            scores = torch.softmax(image[0, 0, :count], dim=0)
            found.append({"boxes": boxes, "scores": scores, "labels": torch.arange(count)})
        return found


DETECTOR = replace(MODEL, name="pairs", build=Pairs, task="detection", reference=None)


@pytest.mark.parametrize("backend", ["eager", "scripted", "cpp"])
def test_boxes_of_varying_number_come_back_from_every_process(plan, backend):
    plan = replace(plan, inputs=4, batch_size=2)
    with Workbench(plan) as bench, bench.case(DETECTOR, backend) as case:
        counts = {len(each["boxes"]) for each in case.prepared.reference(2).expected}
        assert len(counts) > 1
        assert case.check(2).agrees
        assert case.check(1).agrees


def test_an_output_that_is_no_detection_is_refused_in_one_line(plan):
    with pytest.raises(BackendFailed, match="cannot be judged as detection: a detector returns"):
        check(plan, replace(MODEL, name="no_detector", task="detection"))
