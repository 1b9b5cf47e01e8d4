"""Exact bounds: of shares, and of the change of accuracy on the same images."""

from __future__ import annotations

import pytest
from scipy.stats import binom

from deploybench.tasks import exact_bounds
from deploybench.tasks.exact_bounds import PairedChange, lower, trials_needed, upper


def test_the_known_numbers_of_images_for_an_agreement_of_99_percent():
    assert [trials_needed(misses, 0.99) for misses in (0, 1, 2)] == [299, 473, 628]


@pytest.mark.parametrize(("successes", "trials"), [(299, 299), (97, 100), (1, 40), (3, 7)])
def test_a_lower_bound_is_the_share_that_gives_so_many_in_5_percent(successes, trials):
    bound = lower(successes, trials)
    assert binom.sf(successes - 1, trials, bound) == pytest.approx(0.05)
    assert upper(trials - successes, trials) == pytest.approx(1 - bound)


def test_without_trials_nothing_is_known():
    assert (lower(0, 0), upper(0, 0)) == (0.0, 1.0)


def test_a_bound_holds_in_95_percent_whatever_the_share():
    for share in (0.5, 0.9, 0.989, 0.999):
        missed = sum(
            binom.pmf(found, 300, share) for found in range(301) if lower(found, 300) > share
        )
        assert missed <= 0.05 + 1e-9


def test_fewest_finds_the_first_number_that_is_enough():
    assert exact_bounds.fewest(lambda number: number >= 777, 1) == 777
    assert exact_bounds.fewest(lambda number: True, 5) == 5
    assert exact_bounds.fewest(lambda number: False, 5) == exact_bounds.MOST_IMAGES


def test_mcnemars_exact_test():
    assert PairedChange(500, 3, 11).p_value == pytest.approx(0.0574, abs=1e-4)
    assert PairedChange(500, 0, 0).p_value == 1.0


def test_the_change_of_accuracy_has_the_sign_of_what_changed():
    change = PairedChange(1000, 5, 60)
    low, high = change.bounds()
    assert low < change.estimate == -0.055 < high < 0
    mirrored = PairedChange(1000, 60, 5).bounds()
    assert mirrored == pytest.approx((-high, -low))


def test_losses_that_were_not_seen_count_too():
    """McNemar's interval alone would give a bound of 0 here: there was no loss to begin with."""
    low, high = PairedChange(600, 0, 0).bounds()
    assert low == pytest.approx(-0.00613, abs=1e-4)
    assert high == -low
    lost = PairedChange(1000, 0, 4).bounds()[0]
    assert lost < -0.01, "0.4% were lost, and twice as many could have been"
