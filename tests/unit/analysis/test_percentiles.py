"""Percentiles are claimed with enough samples only."""

from __future__ import annotations

import random

import pytest

from deploybench.analysis import percentiles


@pytest.mark.parametrize(("share", "count"), [(0.5, 11), (0.9, 64), (0.95, 130), (0.99, 662)])
def test_the_samples_that_a_percentile_needs_are_those_of_wilks_tables(share, count):
    assert percentiles.least_samples(share) == count


@pytest.mark.parametrize(("share", "count"), [(0.9, 64), (0.95, 130), (0.99, 662)])
def test_with_one_sample_less_it_is_not_claimed(share, count):
    samples = [float(number) for number in range(count)]
    assert percentiles.claimed(samples[1:], share) is None
    assert percentiles.claimed(samples, share) == pytest.approx(share * (count - 1))


def test_a_percentile_lies_between_the_samples_around_it():
    assert percentiles.claimed([3.0] * 50 + [5.0] * 50, 0.5) == 4.0
    assert percentiles.claimed([], 0.5) is None


def test_the_second_largest_sample_lies_above_the_percentile_as_often_as_is_claimed():
    draw, share, trials = random.Random(0), 0.9, 4000
    count = percentiles.least_samples(share)
    above = sum(sorted(draw.random() for _ in range(count))[-2] > share for _ in range(trials))
    assert 0.985 < above / trials < 0.996


def test_the_confidence_can_be_chosen():
    # Of 93 samples, the second largest lies above p95 with 95 %: Wilks' number for two limits.
    assert percentiles.least_samples(0.95, 0.95) == 93


def test_a_percentile_has_its_usual_name():
    assert [percentiles.name(share) for share in percentiles.SHARES] == ["p50", "p90", "p95", "p99"]
