"""Outputs that cannot tell right from wrong have a verdict of their own, for every task."""

from __future__ import annotations

import math

import pytest
import torch

from deploybench import tasks
from deploybench.tasks.agreement import EXACT, UNDECIDED, Agreement

COUNT = 4


def judged(task: str, exact: torch.Tensor, dtype: torch.dtype = torch.float32) -> Agreement:
    """The verdict on eager's own answer."""
    found = tasks.find(task)
    eager = exact.to(dtype) if exact.is_floating_point() else exact
    return found.judge(eager, found.reference(exact, eager))


def drawn(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(COUNT, *shape, generator=generator, dtype=torch.float64)


ROUNDING = torch.linspace(-1e-15, 1e-15, 10, dtype=torch.float64)
CASES = {
    "rows of the head alike": ("classification", drawn(1).expand(-1, 10) + ROUNDING, "every class"),
    "zero in float32": ("classification", drawn(10) * 1e-50, "every class"),
    "below normal numbers": ("classification", drawn(10) * 1e-40, "every class"),
    "probabilities alike": ("classification", torch.full((4, 10), 0.1).double(), "probability"),
    "whole numbers alike": ("classification", torch.ones(4, 10).long(), "every class"),
    "one answer for all": ("classification", drawn(10)[:1].expand(4, -1), "all 4 inputs"),
    "pixels alike": ("segmentation", drawn(1, 6, 6).expand(-1, 3, -1, -1), "every class"),
    "one mask for all": ("segmentation", drawn(3, 6, 6)[:1].expand(4, -1, -1, -1), "all 4 inputs"),
    "one vector for all": ("embedding", drawn(16)[:1].expand(4, -1), "all 4 inputs"),
    "whole numbers for all": ("embedding", torch.arange(5).expand(4, -1), "all 4 inputs"),
}


@pytest.mark.parametrize("name", CASES)
def test_outputs_that_tell_nothing_get_no_number(name):
    task, exact, words = CASES[name]
    verdict = judged(task, exact)
    assert verdict.verdict == UNDECIDED
    assert not verdict.agrees
    assert verdict.reason.startswith("the outputs cannot tell right from wrong: eager gives")
    assert words in verdict.reason
    assert (verdict.error, verdict.margin) == (math.inf, None)
    assert verdict.described("before timing") == verdict.reason


def test_logits_that_float16_has_no_numbers_for_tell_nothing():
    assert judged("classification", drawn(10) * 1e-6, torch.float16).verdict == UNDECIDED


def test_whole_numbers_that_differ_are_judged_without_a_margin():
    """Their unit is 0, by which nothing can be divided."""
    exact = torch.randint(0, 9, (COUNT, 10), generator=torch.Generator().manual_seed(0))
    verdict = judged("classification", exact)
    assert (verdict.verdict, verdict.margin) == (EXACT, None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("task", ["classification", "embedding"])
def test_outputs_that_differ_are_judged_in_every_dtype(task, dtype):
    assert judged(task, drawn(10), dtype).verdict == EXACT


def test_some_inputs_of_a_reference_may_be_alike():
    """A single call of a timed run has one input, which says nothing about the model."""
    exact = drawn(10)
    exact[1] = 0.5
    task = tasks.find("classification")
    reference = task.reference(exact, exact.float())
    assert task.judge(exact.float()[1:2], task.rows(reference, slice(1, 2))).verdict == EXACT


def test_the_same_boxes_in_every_input_tell_nothing():
    task = tasks.find("detection")
    found = {
        "boxes": torch.tensor([[1.0, 2.0, 30.0, 40.0]]).double(),
        "scores": torch.tensor([0.9]).double(),
        "labels": torch.tensor([3]),
    }
    eager = {name: each.float() if name != "labels" else each for name, each in found.items()}
    verdict = task.judge([eager] * 2, task.reference([found] * 2, [eager] * 2))
    assert verdict.verdict == UNDECIDED
    assert "the same boxes in all 2 inputs" in verdict.reason
    moved = [eager, {**eager, "boxes": eager["boxes"] + 5}]
    exact = [found, {**found, "boxes": found["boxes"] + 5}]
    assert task.judge(moved, task.reference(exact, moved)).agrees
