"""The agreement rule for boxes, labels and scores."""

from __future__ import annotations

import pytest
import torch

from deploybench.nested import flatten
from deploybench.tasks.agreement import DIFFERENT, EQUAL_WITHIN_ROUNDING, EXACT
from deploybench.tasks.detection import Detection
from deploybench.tasks.reference import ERROR_LIMIT

TASK = Detection(score_threshold=0.05, most=8, suppression=0.5)
COUNTS = (6, 3, 0)


def found_in(count, seed, dtype=torch.float64):
    """Boxes that hardly overlap, with scores from 0.9 down, two of one label."""
    generator = torch.Generator().manual_seed(seed)
    corner = 60.0 * torch.arange(count)[:, None] + 10 * torch.rand(count, 2, generator=generator)
    size = 30 + 20 * torch.rand(count, 2, generator=generator)
    return {
        "boxes": torch.cat([corner, corner + size], 1).to(dtype),
        "scores": torch.linspace(0.9, 0.3, count, dtype=dtype),
        "labels": torch.arange(count) % 5 + 1,
    }


def rounded(found, seed=0):
    generator = torch.Generator().manual_seed(seed)
    noise = {"boxes": 1e-4, "scores": 1e-6}
    return {
        name: (each + noise[name] * (2 * torch.rand(each.shape, generator=generator) - 1)).float()
        if name in noise
        else each.clone()
        for name, each in found.items()
    }


@pytest.fixture
def exact():
    return [found_in(count, seed) for seed, count in enumerate(COUNTS)]


@pytest.fixture
def eager(exact):
    return [rounded(each) for each in exact]


@pytest.fixture
def reference(exact, eager):
    return TASK.reference(exact, eager)


def only(found, kept):
    return {name: each[kept] for name, each in found.items()}


def with_box(found, box, score, label):
    new = {
        "boxes": torch.tensor([box]),
        "scores": torch.tensor([score]),
        "labels": torch.tensor([label]),
    }
    return {name: torch.cat([each, new[name].to(each.dtype)]) for name, each in found.items()}


def test_eager_and_another_rounding_agree(exact, eager, reference):
    agreement = TASK.judge(eager, reference)
    assert (agreement.verdict, agreement.inputs) == (EXACT, len(COUNTS))
    assert agreement.error == pytest.approx(1.0)
    other = [rounded(each, 7) for each in exact]
    assert TASK.judge(other, reference).verdict == EQUAL_WITHIN_ROUNDING


def test_the_unit_is_eagers_own_error_on_its_pairs(exact, eager, reference):
    farthest = max(
        (e["boxes"].double() - x["boxes"]).abs().max()
        for e, x in zip(eager[:2], exact[:2], strict=True)
    )
    assert reference.tensors["boxes"].unit == pytest.approx(float(farthest))
    for share, agrees in ((0.9, True), (1.1, False)):
        output = [rounded(each) for each in exact]
        moved = exact[0]["boxes"][2, 1] + share * ERROR_LIMIT * farthest
        output[0]["boxes"][2, 1] = moved
        assert TASK.judge(output, reference).agrees is agrees


def test_the_order_of_the_boxes_is_free(eager, reference):
    turned = [{name: tensor.flip(0) for name, tensor in each.items()} for each in eager]
    assert TASK.judge(turned, reference).agrees


def test_outputs_of_the_cpp_process_are_read_by_path(eager, reference):
    by_path = flatten(eager[:2]) | flatten({"2": eager[2]})
    assert list(by_path)[:3] == ["0.boxes", "0.scores", "0.labels"]
    assert TASK.judge(by_path, reference).verdict == EXACT


def test_batches_with_other_numbers_of_boxes_are_joined(eager, reference):
    joined = TASK.join([eager[:2], flatten([eager[2]])])
    assert [len(each["boxes"]) for each in joined] == list(COUNTS)
    assert TASK.judge(joined, reference).verdict == EXACT


def test_some_inputs_are_judged_with_the_units_of_all(eager, reference):
    part = TASK.rows(reference, slice(1, 3))
    assert TASK.judge(eager[1:3], part).verdict == EXACT
    assert not TASK.judge(eager[:2], part).agrees
    # An input without a box has the right answer too: no box.
    empty = TASK.rows(reference, slice(2, 3))
    assert TASK.judge(eager[2:], empty).agrees
    assert "not in the reference" in TASK.judge(eager[1:2], empty).reason


def changed(part, change):
    def fault(eager):
        return [{**each, part: change(each[part])} for each in eager]

    return fault


def swap_two(labels):
    return labels[[1, 0, *range(2, len(labels))]] if len(labels) > 1 else labels


def duplicated(eager):
    return [only(eager[0], [0, 1, 2, 3, 4, 5, 2]), *eager[1:]]


FAULTS = {
    "boxes moved by a pixel": (changed("boxes", lambda boxes: boxes + 1), "'boxes' of box"),
    "corners in another order": (
        changed("boxes", lambda boxes: boxes[:, [1, 0, 3, 2]]),
        "",
    ),
    "labels swapped": (changed("labels", swap_two), "'labels' of box 0 of input 0 has 2"),
    "labels one too high": (changed("labels", lambda labels: labels + 1), "'labels' of box"),
    "scores scaled": (changed("scores", lambda scores: scores * 0.99), "'scores' of box"),
    "one box missing": (lambda eager: [only(eager[0], [0, 1, 3, 4, 5]), *eager[1:]], "box 2"),
    "the last box missing": (lambda eager: [only(eager[0], range(5)), *eager[1:]], "box 5"),
    "no box at all": (lambda eager: [only(each, []) for each in eager], "no partner"),
    "a box twice": (duplicated, "not in the reference"),
    "the boxes of another input": (lambda eager: [eager[1], eager[0], eager[2]], "partner"),
    "an input too few": (lambda eager: eager[:2], "2 inputs instead of 3"),
    "a NaN": (changed("scores", lambda scores: scores * float("nan")), "NaN"),
    "another dtype": (changed("boxes", lambda boxes: boxes.double()), "dtype"),
    "no labels": (
        lambda eager: [{k: v for k, v in each.items() if k != "labels"} for each in eager],
        "no 'labels'",
    ),
    "a tensor": (lambda eager: eager[0]["boxes"], "cannot be compared"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(eager, reference, fault):
    change, words = FAULTS[fault]
    agreement = TASK.judge(change(eager), reference)
    assert agreement.verdict == DIFFERENT
    assert words in agreement.reason


def test_two_labels_of_one_box_do_not_hide_swapped_scores(exact):
    both = with_box(exact[0], exact[0]["boxes"][0].tolist(), 0.5, 5)
    eager = rounded(both)
    reference = TASK.reference([both], [eager])
    assert TASK.judge([eager], reference).agrees
    swapped = eager["scores"][[6, 1, 2, 3, 4, 5, 0]]
    assert not TASK.judge([{**eager, "scores": swapped}], reference).agrees


def test_a_box_at_the_score_threshold_may_be_missing_or_new(exact, eager):
    far = [900.0, 900.0, 950.0, 950.0]
    at, above = (with_box(exact[0], far, score, 1) for score in (0.05 + 1e-7, 0.06))
    for found, agrees in ((at, True), (above, False)):
        reference = TASK.reference([found], [rounded(found)])
        assert TASK.judge([eager[0]], reference).agrees is agrees
        known = TASK.reference([exact[0]], [eager[0]])
        assert TASK.judge([rounded(found)], known).agrees is agrees
    reference = Detection().reference([at], [rounded(at)])
    assert not Detection().judge([eager[0]], reference).agrees


def test_the_last_of_as_many_boxes_as_are_kept_may_be_another():
    full = found_in(8, 3)
    full["scores"][7] = full["scores"][6]  # the same score: either may be kept
    other = with_box(only(full, range(7)), [900.0, 900.0, 950.0, 950.0], full["scores"][7], 1)
    reference = TASK.reference([full], [rounded(full)])
    assert TASK.judge([rounded(other)], reference).agrees
    more = Detection(score_threshold=0.05, most=100, suppression=0.5)
    assert not more.judge([rounded(other)], reference).agrees


def test_of_two_equal_scores_either_box_may_suppress_the_other(exact, eager):
    # An overlap of a half: more than `suppression`, and too little for the boxes to be a pair.
    task = Detection(suppression=0.4)
    box = exact[0]["boxes"][0].tolist()
    width = box[2] - box[0]
    shifted = [box[0] + 0.38 * width, box[1], box[2] + 0.38 * width, box[3]]
    reference = task.reference(exact[:1], eager[:1])
    for score, agrees in ((exact[0]["scores"][0].item(), True), (0.8, False)):
        other = with_box(only(exact[0], range(1, 6)), shifted, score, 1)
        assert task.judge([rounded(other)], reference).agrees is agrees


def test_a_box_at_the_limit_of_suppression_may_be_missing(exact, eager):
    box = exact[0]["boxes"][0].tolist()
    width = box[2] - box[0]
    third = [box[0] + 0.5 * width, box[1], box[2] + 0.5 * width, box[3]]  # an overlap of 1/3
    found = with_box(exact[0], third, 0.6, 1)
    for suppression, agrees in ((1 / 3, True), (0.4, False)):
        task = Detection(suppression=suppression)
        reference = task.reference([found], [rounded(found)])
        assert task.judge(eager[:1], reference).agrees is agrees


def test_without_a_box_nothing_can_be_judged(exact, eager):
    reference = TASK.reference(exact[2:], eager[2:])
    assert "no box in any input" in TASK.judge(eager[2:], reference).reason


def test_an_eager_that_finds_other_boxes_than_float64_judges_nothing(exact, eager):
    reference = TASK.reference(exact, [eager[0], only(eager[1], [0, 2]), eager[2]])
    reason = TASK.judge(eager, reference).reason
    assert "eager itself finds other boxes than float64" in reason
    assert "box 1 of input 1" in reason


def test_boxes_without_an_area_are_matched(exact):
    flat = with_box(exact[0], [5.0, 500.0, 5.0, 540.0], 0.7, 2)
    reference = TASK.reference([flat], [rounded(flat)])
    assert TASK.judge([rounded(flat, 3)], reference).agrees


def test_whatever_else_has_a_row_for_each_box_is_compared(exact):
    exact = [{**each, "masks": torch.ones(len(each["boxes"]), 1, 4, 4).double()} for each in exact]
    eager = [{**rounded(each), "masks": each["masks"].float()} for each in exact]
    reference = TASK.reference(exact, eager)
    assert TASK.judge(eager, reference).verdict == EXACT
    wrong = [{**each, "masks": each["masks"] * 0.9} for each in eager]
    assert "'masks' of box 0 of input 0" in TASK.judge(wrong, reference).reason


def test_the_margin_is_the_distance_to_the_threshold(reference):
    expected = (0.3 - 0.05) / reference.tensors["scores"].unit
    assert TASK.judge([], reference).margin == pytest.approx(expected)
    assert Detection().judge([], reference).margin is None


def test_a_tolerance_takes_the_place_of_eagers_error(exact, eager):
    reference = TASK.reference(exact, eager, tolerance=2.0)
    moved = [{**each, "boxes": each["boxes"] + 1} for each in eager]
    assert TASK.judge(moved, reference).agrees
    moved = [{**each, "boxes": each["boxes"] + 3} for each in eager]
    assert not TASK.judge(moved, reference).agrees
