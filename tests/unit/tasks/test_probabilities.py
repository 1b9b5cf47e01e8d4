"""Classifiers whose outputs are probabilities."""

from __future__ import annotations

import pytest
import torch

from deploybench import tasks

TASK = tasks.find("classification")


@pytest.fixture
def logits():
    generator = torch.Generator().manual_seed(0)
    return 3 * torch.randn(4, 20, generator=generator, dtype=torch.float64)


def test_rows_that_add_up_to_one_are_called_probabilities(logits):
    exact = logits.softmax(1)
    reference = TASK.reference(exact, exact.float())
    wrong = exact.float()
    wrong[2, 7] += 0.25
    reason = TASK.judge(wrong, reference).reason
    assert "probability" in reason
    assert "logit" not in reason


@pytest.mark.parametrize("shift", [0.5, -0.5])
def test_other_rows_are_called_logits(logits, shift):
    exact = logits.softmax(1) + shift / 20
    wrong = exact.float()
    wrong[2, 7] += 9
    assert "with logit" in TASK.judge(wrong, TASK.reference(exact, exact.float())).reason


def test_the_margin_ignores_classes_that_rounding_cannot_tell_from_zero():
    exact = torch.tensor([[1 - 3e-12, 1e-12, 1e-12, 1e-12, 0.0, 0.0]], dtype=torch.float64)
    eager = exact.float()
    reference = TASK.reference(exact, eager)
    unit = reference.tensors[""].unit
    assert TASK.judge(eager, reference).margin == pytest.approx(1 / unit)


def test_swapped_classes_are_caught_in_probabilities_too(logits):
    exact = logits.softmax(1)
    reference = TASK.reference(exact, exact.float())
    best, second = exact[1].topk(2).indices
    swapped = exact.float()
    swapped[1, [best, second]] = swapped[1, [second, best]]
    assert "place 1 of input 1" in TASK.judge(swapped, reference).reason
