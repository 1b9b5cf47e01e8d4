"""The agreement rule for outputs that are more than one tensor of logits."""

from __future__ import annotations

import pytest
import torch

from deploybench import settings, tasks
from deploybench.errors import UsageError
from deploybench.models.weights import RANDOM
from deploybench.runner.prepared_model import Plan
from deploybench.runner.workbench import Workbench
from deploybench.tasks.agreement import DIFFERENT, EQUAL_WITHIN_ROUNDING, EXACT, judge
from deploybench.tasks.reference import ERROR_LIMIT, Reference

from ..tiny import WITH_DICT

EMBEDDING = tasks.find("embedding")
CLASSIFICATION = tasks.find("classification")


@pytest.fixture
def outputs():
    """What float64 and eager make of the same inputs: a dict with numbers, labels and flags."""
    generator = torch.Generator().manual_seed(0)
    boxes = torch.randn(4, 5, 4, generator=generator, dtype=torch.float64)
    scores = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    labels, flags = torch.arange(20).reshape(4, 5), torch.arange(4) % 2 == 0
    expected = {"found": (boxes, scores), "labels": labels, "flags": flags}
    noise = 1e-6 * torch.rand(4, 5, 4, generator=generator, dtype=torch.float64)
    eager = {"found": ((boxes + noise).float(), scores.float()), "labels": labels, "flags": flags}
    return expected, eager


def test_each_tensor_is_held_against_its_own_unit(outputs):
    expected, eager = outputs
    reference = Reference.of(expected, eager)
    assert list(reference.tensors) == ["found.0", "found.1", "labels", "flags"]
    agreement = judge(eager, reference, EMBEDDING)
    assert agreement.verdict == EXACT
    assert agreement.error == pytest.approx(1.0)
    assert agreement.inputs == 4
    assert agreement.margin is None
    # The scores are exact to float32's own spacing: what passes for a box is far off for a score.
    step = 0.9 * ERROR_LIMIT * reference.tensors["found.0"].unit
    boxes, scores = (each.clone() for each in eager["found"])
    boxes[0, 0, 0] = expected["found"][0][0, 0, 0] + step
    assert judge({**eager, "found": (boxes, scores)}, reference, EMBEDDING).agrees
    scores[2, 3] += step
    agreement = judge({**eager, "found": (boxes, scores)}, reference, EMBEDDING)
    assert agreement.verdict == DIFFERENT
    assert "element [2, 3] of 'found.1' has value" in agreement.reason


def test_other_rounding_is_equal_within_rounding(outputs):
    expected, eager = outputs
    rounded = {**eager, "found": tuple(each.float() for each in expected["found"])}
    assert judge(rounded, Reference.of(expected, eager), EMBEDDING).verdict == EQUAL_WITHIN_ROUNDING


def swapped_labels(eager):
    return {**eager, "labels": eager["labels"].flip(1)}


def another_flag(eager):
    return {**eager, "flags": ~eager["flags"]}


def without_flags(eager):
    return {name: value for name, value in eager.items() if name != "flags"}


def one_tensor(eager):
    return eager["labels"]


def a_number(eager):
    return {**eager, "flags": 3}


def labels_as_floats(eager):
    return {**eager, "labels": eager["labels"].float()}


def fewer_boxes(eager):
    boxes, scores = eager["found"]
    return {**eager, "found": (boxes[:, :4], scores)}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (swapped_labels, r"of 'labels' has value 4 where the reference has 0: these must be equal"),
        (another_flag, r"of 'flags' has value 0 .* these must be equal"),
        (without_flags, r"has the parts \['found.0', 'found.1', 'labels'\] instead of"),
        (one_tensor, r"has the parts \[''\] instead of"),
        (a_number, r"cannot be compared: 'flags' is a int, not a tensor"),
        (labels_as_floats, r"'labels' has dtype torch.float32 instead of torch.int64"),
        (fewer_boxes, r"'found.0' has shape \[4, 4, 4\] instead of \[4, 5, 4\]"),
    ],
)
def test_what_differs_is_named_with_its_part(outputs, spoil, words):
    import re

    expected, eager = outputs
    agreement = judge(spoil(eager), Reference.of(expected, eager), EMBEDDING)
    assert agreement.verdict == DIFFERENT
    assert re.search(words, agreement.reason), agreement.reason


@pytest.mark.parametrize("classes", [1, 2, 3, 5, 7])
def test_any_number_of_classes_can_be_distinguished(classes):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(4, classes, generator=generator, dtype=torch.float64)
    reference = Reference.of(logits, logits.float())
    right = judge(logits.float(), reference, CLASSIFICATION)
    assert right.verdict == EXACT
    assert (right.margin is None) == (classes == 1)
    assert judge(logits.float().flip(0), reference, CLASSIFICATION).verdict == DIFFERENT


def test_a_classifier_without_logits_is_refused_with_what_to_do():
    maps = torch.randn(2, 5, 8, 8, dtype=torch.float64)
    agreement = judge(maps.float(), Reference.of(maps, maps.float()), CLASSIFICATION)
    assert (
        "a classifier gives logits of shape [inputs, classes], but this model gives [2, 5, 8, 8]"
        in (agreement.reason)
    )
    assert judge(maps.float(), Reference.of(maps, maps.float()), EMBEDDING).agrees


def test_an_unknown_task_is_named_with_the_nearest():
    with pytest.raises(UsageError, match="unknown task 'clasification': did you mean"):
        tasks.find("clasification")


@pytest.mark.parametrize("backend", ["eager", "scripted", "traced", "frozen", "cpp", "frozen-cpp"])
def test_a_model_that_gives_a_dict_is_judged_through_every_way_to_run_it(backend):
    plan = Plan(settings.resolve("cpu", threads=1), RANDOM, inputs=4)
    with Workbench(plan) as bench, bench.case(WITH_DICT, backend) as case:
        agreement = case.check(1)
        assert agreement.agrees, agreement.reason
        assert list(case.prepared.reference(1).tensors) == ["logits", "features"]
        assert list(case.session.output()) == ["logits", "features"]
