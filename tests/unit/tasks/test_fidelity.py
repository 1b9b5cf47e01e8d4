"""Verdicts on reduced precision, from logits."""

from __future__ import annotations

import re

import numpy as np
import pytest

from deploybench.errors import UsageError
from deploybench.records import reduced as recorded
from deploybench.tasks import fidelity
from deploybench.tasks.fidelity import (
    ACCURACY,
    AGREEMENT,
    NOT_JUDGED,
    OVER,
    UNDECIDED,
    WITHIN,
    WRONG,
    Budget,
    judge,
    parse_budget,
)

BUDGET = Budget()


def logits(images: int = 700, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (images, 10))


def with_misses(eager: np.ndarray, misses: int) -> np.ndarray:
    """The same logits, but in the last rows, the first two classes have changed places."""
    output = eager.copy()
    for row in range(len(eager) - misses, len(eager)):
        second, first = np.argsort(eager[row])[-2:]
        output[row, [first, second]] = eager[row, [second, first]]
    return output


@pytest.mark.parametrize(
    ("images", "misses", "status"),
    [
        (299, 0, WITHIN),
        (298, 0, UNDECIDED),
        (473, 1, WITHIN),
        (472, 1, UNDECIDED),
        (628, 2, WITHIN),
        (627, 2, UNDECIDED),
        (628, 12, OVER),
    ],
)
def test_an_agreement_is_claimed_with_as_many_images_as_that_needs(images, misses, status):
    eager = logits(images)
    found = judge(with_misses(eager, misses), eager, BUDGET)
    assert (found.status, found.missed) == (status, misses)
    assert f"{misses} of {images} images" in found.reason
    assert found.first_least == pytest.approx(1 - fidelity.exact_bounds.upper(misses, images))


@pytest.mark.parametrize(("misses", "needed"), [(0, 299), (1, 473), (2, 628)])
def test_an_undecided_one_says_how_many_images_it_needs(misses, needed):
    eager = logits(200)
    found = judge(with_misses(eager, misses), eager, BUDGET)
    assert found.status == UNDECIDED
    assert f"{needed} images would settle it" in found.reason


def test_a_fault_is_wrong_whatever_the_answers_are():
    eager = logits(400)
    spoiled = eager.copy()
    spoiled[3, 4] = np.nan
    faults = {
        "1 of 4000 outputs are NaN": spoiled,
        r"shape \[400, 9\] instead of \[400, 10\]": eager[:, :9],
        "the same for all 400 inputs": np.repeat(eager[:1], 400, axis=0),
        r"SQNR of the logits is 6\.\d dB, less than 10 dB": eager * 0.5,
    }
    for words, output in faults.items():
        found = judge(output, eager, BUDGET)
        assert found.status == WRONG
        assert re.search(words, found.reason)


def test_noise_of_a_known_size_has_its_sqnr_and_its_divergence():
    eager = logits(2000)
    noise = 0.1 * logits(2000, seed=1)
    found = judge(eager + noise, eager, BUDGET)
    assert found.sqnr_db == pytest.approx(20, abs=0.3)
    assert 0 < found.divergence < 0.01
    same = judge(eager, eager, BUDGET)
    assert (same.sqnr_db, same.divergence, same.status) == (None, 0.0, WITHIN)


def test_the_divergence_of_two_known_distributions():
    eager, output = np.log([[0.5, 0.25, 0.25]]), np.log([[0.25, 0.5, 0.25]])
    expected = 0.5 * np.log(2) + 0.25 * np.log(0.5)
    assert fidelity.divergence(output, eager) == pytest.approx(expected)
    assert fidelity.divergence(np.exp(output), np.exp(eager)) == pytest.approx(expected)


def test_a_miss_is_a_near_tie_if_a_step_of_the_grid_can_cause_it():
    eager = np.zeros((400, 3))
    eager[:, 0], eager[:, 1] = 25.5, 20.0  # a step is 0.1
    eager[:5, 1] = 25.45
    output = eager.copy()
    output[:8, 1] = 26.0
    found = judge(output, eager, BUDGET)
    assert found.step == pytest.approx(0.1)
    assert (found.missed, found.near_ties, found.plain) == (8, 5, 3)
    assert (found.margin, found.missed_margin) == pytest.approx((5.5, 0.05))


def test_the_share_among_five_counts_where_eagers_class_is_still_near():
    eager = np.tile(np.arange(8.0), (300, 1)) + logits(300)[:, :8] * 0.01
    output = eager.copy()
    output[:10, 7] = 4.5  # the fourth
    output[10:15, 7] = -1.0  # the last
    found = judge(output, eager, BUDGET)
    assert (found.first_equal, found.five_equal) == (285, 295)


def labelled(gained: int, lost: int, images: int = 2000):
    eager = logits(images)
    output = with_misses(eager, gained + lost)
    labels = list(eager.argmax(1))
    labels[images - gained :] = list(output.argmax(1)[images - gained :])
    return judge(output, eager, Budget(ACCURACY, -0.005), labels)


@pytest.mark.parametrize(
    ("gained", "lost", "status"),
    [(0, 0, WITHIN), (1, 1, WITHIN), (8, 12, UNDECIDED), (0, 60, OVER)],
)
def test_a_change_of_accuracy_is_judged_by_the_images_that_changed(gained, lost, status):
    found = labelled(gained, lost)
    assert found.status == status
    assert (found.change.gained, found.change.lost) == (gained, lost)
    assert "McNemar's exact p" in found.reason


def test_an_undecided_change_says_how_many_images_would_do():
    assert "about" in labelled(8, 12).reason
    assert "images would settle it" in labelled(8, 12).reason


def test_a_budget_of_accuracy_without_labels_is_not_judged():
    eager = logits(700)
    found = judge(eager, eager, Budget(ACCURACY, -0.005), [None] * 700)
    assert found.status == NOT_JUDGED
    assert "needs labelled images" in found.reason


@pytest.mark.parametrize(
    ("given", "budget"),
    [
        ("agreement>=0.99", Budget(AGREEMENT, 0.99)),
        (" agreement >= 99.5%", Budget(AGREEMENT, 0.995)),
        ("accuracy>=-0.5%", Budget(ACCURACY, -0.005)),
        ("accuracy>=-0.01", Budget(ACCURACY, -0.01)),
        ("accuracy>=0", Budget(ACCURACY, 0.0)),
    ],
)
def test_budgets_are_read_and_written(given, budget):
    assert parse_budget(given) == budget
    assert parse_budget(str(budget)) == budget


@pytest.mark.parametrize(
    "given", ["", "0.99", "agreement>0.9", "agreement>=99", "agreement>=1", "accuracy>=0.5%", "x"]
)
def test_what_is_no_budget_is_refused_in_one_line(given):
    with pytest.raises(UsageError, match="--budget '") as caught:
        parse_budget(given)
    assert "use agreement>=0.99, or accuracy>=-0.5%" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_words_of_a_record_are_the_same():
    """records/ knows no tasks/, so it has them for itself."""
    assert recorded.STATUSES == fidelity.STATUSES
    assert (recorded.WITHIN, recorded.OVER) == (fidelity.WITHIN, fidelity.OVER)
