"""The agreement rule for class maps."""

from __future__ import annotations

import pytest
import torch

from deploybench import tasks
from deploybench.tasks.agreement import DIFFERENT, EQUAL_WITHIN_ROUNDING, EXACT

TASK = tasks.find("segmentation")
UNIT = 1e-6


@pytest.fixture
def outputs():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 12, 12, generator=generator, dtype=torch.float64)
    # The first pixel is at a border: two classes are as close as rounding.
    logits[0, :2, 0, 0] = torch.tensor([9.0, 9.0 + UNIT], dtype=torch.float64)
    noise = UNIT * (2 * torch.rand(logits.shape, generator=generator, dtype=torch.float64) - 1)
    extra = torch.zeros(2, 3, 1, 1, dtype=torch.float64)
    return {"aux": extra, "out": logits}, {"aux": extra.float(), "out": (logits + noise).float()}


@pytest.fixture
def reference(outputs):
    return TASK.reference(*outputs)


def spoiled(outputs, change):
    eager = outputs[1]
    return {"aux": eager["aux"], "out": change(eager["out"].clone())}


def test_eager_and_another_rounding_agree(outputs, reference):
    assert TASK.judge(outputs[1], reference).verdict == EXACT
    other = {name: each.float() for name, each in outputs[0].items()}
    assert TASK.judge(other, reference).verdict == EQUAL_WITHIN_ROUNDING


def test_a_pixel_at_a_border_may_change_its_class(outputs, reference):
    def swap(logits):
        logits[0, :2, 0, 0] = logits[0, [1, 0], 0, 0]
        return logits

    output = spoiled(outputs, swap)
    assert (output["out"].argmax(1) != outputs[0]["out"].argmax(1)).sum() == 1
    assert TASK.judge(output, reference).agrees


def swapped_pixel(logits):
    best, second = logits[1, :, 3, 4].topk(2).indices
    logits[1, [best, second], 3, 4] = logits[1, [second, best], 3, 4]
    return logits


FAULTS = {
    "a map shifted by a pixel": (lambda logits: logits.roll(1, 3), "of the pixels"),
    "a map upside down": (lambda logits: logits.flip(2), "of the pixels"),
    "classes in another order": (lambda logits: logits[:, [1, 0, 2, 3, 4]], "of the pixels"),
    "the map of another input": (lambda logits: logits.flip(0), "of the pixels"),
    "one pixel of another class": (swapped_pixel, "(3, 4) of input 1: class"),
    "scaled logits": (lambda logits: logits * 1.01, "times eager's error"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(outputs, reference, fault):
    change, words = FAULTS[fault]
    agreement = TASK.judge(spoiled(outputs, change), reference)
    assert agreement.verdict == DIFFERENT
    assert words in agreement.reason


def test_the_share_of_changed_pixels_is_told(outputs, reference):
    reason = TASK.judge(spoiled(outputs, swapped_pixel), reference).reason
    assert f"{1 / (2 * 12 * 12):.2g} of the pixels" in reason


def test_without_out_the_first_tensor_has_the_logits(outputs):
    exact, eager = (each["out"] for each in outputs)
    reference = TASK.reference(exact, eager)
    assert TASK.judge(eager, reference).agrees
    assert not TASK.judge(eager.roll(1, 2), reference).agrees


def test_the_margin_ignores_the_few_pixels_at_borders(outputs, reference):
    best = outputs[0]["out"].topk(2, dim=1).values
    gaps = (best[:, 0] - best[:, 1]).flatten().sort().values
    assert gaps[0] < 2 * UNIT
    unit = reference.tensors["out"].unit
    assert TASK.margin(reference) == pytest.approx(float(gaps[2]) / unit)


def test_logits_of_a_classifier_are_refused_in_words():
    logits = torch.randn(2, 5)
    agreement = TASK.judge(logits, TASK.reference(logits.double(), logits))
    assert "[inputs, classes, height, width]" in agreement.reason
    assert "[2, 5]" in agreement.reason
