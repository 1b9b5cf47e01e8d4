"""The rule that decides whether an output is the same answer."""

from __future__ import annotations

import pytest
import torch

from deploybench.tasks.agreement import (
    DIFFERENT,
    EQUAL_WITHIN_ROUNDING,
    EXACT,
    UNDECIDED,
    Agreement,
)
from deploybench.tasks.agreement import judge as judge_any
from deploybench.tasks.classification import Classification
from deploybench.tasks.reference import ERROR_LIMIT, Reference, TensorReference

INPUTS, CLASSES = 4, 100


def judge(output: torch.Tensor, reference: TensorReference) -> Agreement:
    return judge_any(output, Reference({"": reference}), Classification())


@pytest.fixture
def reference() -> TensorReference:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(INPUTS, CLASSES, generator=generator, dtype=torch.float64)
    noise = 1e-6 * (2 * torch.rand(INPUTS, CLASSES, generator=generator, dtype=torch.float64) - 1)
    return TensorReference.of(logits, (logits + noise).float())


def test_eagers_own_output_is_exact_with_an_error_of_one_unit(reference):
    agreement = judge(reference.eager.clone(), reference)
    assert agreement.verdict == EXACT
    assert agreement.error == pytest.approx(1.0)
    assert agreement.inputs == INPUTS


def test_other_rounding_is_equal_within_rounding(reference):
    agreement = judge(reference.expected.float(), reference)
    assert agreement.verdict == EQUAL_WITHIN_ROUNDING
    assert agreement.agrees


def test_the_limit_is_in_units_of_eagers_error(reference):
    least_likely = reference.expected[0].argmin()
    for share, verdict in ((0.9, EQUAL_WITHIN_ROUNDING), (1.1, DIFFERENT)):
        output = reference.expected.float()
        output[0, least_likely] += share * ERROR_LIMIT * reference.unit
        assert judge(output, reference).verdict == verdict


def test_an_error_beyond_the_limit_names_the_class_and_both_logits(reference):
    output = reference.eager.clone()
    output[2, 7] += 0.25
    reason = judge(output, reference).reason
    assert "class 7 of input 2" in reason
    assert f"{output[2, 7]:.6g}" in reason
    assert f"{reference.expected[2, 7]:.6g}" in reason


def test_two_classes_closer_than_the_error_may_trade_places():
    logits = torch.tensor([[9.0, 7.0, 5.0, 5.0 - 1e-6, 2.0, 1.0, 0.0]], dtype=torch.float64)
    reference = TensorReference(logits, logits.float(), 1e-6)
    swapped = logits.float()
    swapped[0, [2, 3]] = swapped[0, [3, 2]]
    assert judge(swapped, reference).verdict == EQUAL_WITHIN_ROUNDING


def test_two_classes_farther_apart_may_not():
    logits = torch.tensor([[9.0, 7.0, 5.0, 4.0, 2.0, 1.0, 0.0]], dtype=torch.float64)
    reference = TensorReference(logits, logits.float(), 1e-6)
    swapped = logits.float()
    swapped[0, [2, 3]] = swapped[0, [3, 2]]
    agreement = judge(swapped, reference)
    assert agreement.verdict == DIFFERENT
    assert "place 3 of input 0 is class 3 with logit 5" in agreement.reason
    assert "class 2 with 5" in agreement.reason


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda output: output[:, :-1], "shape [4, 99] instead of [4, 100]"),
        (lambda output: output.half(), "dtype torch.float16 instead of torch.float32"),
        (lambda output: output.index_fill(1, torch.tensor([3]), float("nan")), "4 logits are NaN"),
        (lambda output: output.index_fill(1, torch.tensor([3]), float("inf")), "infinity"),
        (lambda output: output[:1].expand_as(output), "same for all 4 inputs"),
        (lambda output: output.roll(1, dims=1), "place 1 of input 0"),
        (lambda output: output.roll(1, dims=0), "place 1 of input 0"),
    ],
    ids=["shape", "dtype", "nan", "infinity", "constant", "classes shifted", "inputs swapped"],
)
def test_each_fault_has_its_own_words(reference, spoil, words):
    agreement = judge(spoil(reference.eager), reference)
    assert agreement.verdict == DIFFERENT
    assert not agreement.agrees
    assert words in agreement.reason


def test_the_unit_is_never_finer_than_float32_itself():
    logits = torch.linspace(-3, 3, CLASSES, dtype=torch.float64).repeat(INPUTS, 1)
    lucky = TensorReference.of(logits.float().double(), logits.float())
    assert lucky.unit == pytest.approx(3 * torch.finfo(torch.float32).eps)


def test_the_margin_is_the_smallest_gap_among_the_first_six():
    logits = torch.tensor([[9.0, 7.0, 6.0, 4.0, 3.5, 1.0, 0.9999]], dtype=torch.float64)
    reference = TensorReference(logits, logits.float(), 1e-3)
    assert judge(logits.float(), reference).margin == pytest.approx(500)


def test_rows_keep_the_unit_of_the_whole(reference):
    part = reference.rows(slice(1, 2))
    assert part.unit == reference.unit
    assert judge(reference.eager[1:2], part).verdict == EXACT


def test_where_eager_itself_overflows_nothing_agrees(reference):
    eager = reference.eager.clone()
    eager[0, 0] = torch.inf
    overflown = TensorReference.of(reference.expected, eager)
    agreement = judge(reference.expected.float(), overflown)
    assert agreement.verdict == DIFFERENT
    assert "eager itself gives NaN or infinity" in agreement.reason
    eager[0, 0] = torch.nan
    assert not judge(
        reference.expected.float(), TensorReference.of(reference.expected, eager)
    ).agrees


@pytest.mark.parametrize(
    ("dtype", "factor"),
    [
        *((torch.float32, factor) for factor in (1.2, 2.0, 10.0, 0.0, -1.0)),
        *((torch.float16, factor) for factor in (1.2, 2.0, 10.0, 0.0, -1.0)),
        *((torch.bfloat16, factor) for factor in (2.1, 10.0, 0.0, -1.0)),
    ],
)
def test_an_error_that_rounding_cannot_explain_is_not_a_unit(reference, dtype, factor):
    # Eager itself changed, as by a backend before it: nothing can be held against that.
    damaged = (factor * reference.expected).to(dtype)
    judged = judge(damaged, TensorReference.of(reference.expected, damaged))
    assert judged.verdict == DIFFERENT
    assert "more than rounding in" in judged.reason


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_logits_that_are_all_equal_tell_nothing(value):
    logits = torch.full((INPUTS, CLASSES), value, dtype=torch.float64)
    judged = judge(logits.float(), TensorReference.of(logits, logits.float()))
    assert judged.verdict == UNDECIDED
    assert not judged.agrees
    assert "the same logit for every class" in judged.reason
