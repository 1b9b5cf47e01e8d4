"""Changes of level: found where they are, and not where there are none."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deploybench.analysis import change_points
from deploybench.analysis.change_points import FEWEST, find

ALARMS = 0.05


def series(*levels: tuple[int, float], deviation: float = 0.01, seed: int = 0) -> list[float]:
    """Logarithms: so many processes at each level."""
    random = np.random.default_rng(seed)
    return np.concatenate(
        [level + deviation * random.standard_normal(count) for count, level in levels]
    ).tolist()


def test_a_step_is_found_where_it_is():
    (change,) = find(series((30, 0), (30, math.log(1.05))), ALARMS)
    assert change.index == 30
    assert change.earliest <= 30 <= change.latest
    assert change.effect.low < math.log(1.05) < change.effect.high
    assert change.effect.runs == (30, 30)
    assert change.p_value <= ALARMS


def test_several_steps_are_found_in_order():
    found = find(series((25, 0), (25, 0.06), (25, 0.02), (25, 0.08)), ALARMS)
    assert [change.index for change in found] == [25, 50, 75]
    assert [round(change.effect.estimate, 2) for change in found] == [0.06, -0.04, 0.06]


def test_a_step_in_the_newest_runs_is_found():
    (change,) = find(series((56, 0), (4, 0.1)), ALARMS)
    assert change.index == 56


@pytest.mark.parametrize("figures", [[], [1.0], [1.0] * 5, [1.0] * 100, [1.0, 2.0] * 2])
def test_no_change_is_found_where_none_can_be(figures):
    assert find(figures, ALARMS) == []


def test_one_wild_figure_is_no_change():
    figures = series((60, 0))
    figures[30] += 3
    assert find(figures, ALARMS) == []


def test_a_search_says_the_same_again():
    figures = series((20, 0), (20, 0.012))
    assert find(figures, ALARMS) == find(figures, ALARMS)


def test_of_series_without_a_change_few_give_an_alarm():
    """At most 5 % should; of 200 series, 19 or more would then come up once in a thousand."""
    for draw in ("standard_normal", "standard_cauchy"):
        random = np.random.default_rng(1)
        alarms = sum(bool(find(getattr(random, draw)(40), ALARMS)) for _ in range(200))
        assert alarms < 19, draw


def test_of_series_with_likeness_between_neighbours_few_give_an_alarm():
    """Without the correction, more than 60 of these 200 would."""
    random = np.random.default_rng(1)
    alarms = 0
    for _ in range(200):
        figures = np.zeros(80)
        for place, shock in enumerate(random.standard_normal(80)):
            figures[place] = 0.4 * figures[place - 1] + shock
        alarms += bool(find(figures[20:], ALARMS))
    assert alarms < 40


def test_of_steps_of_three_deviations_nearly_all_are_found():
    random = np.random.default_rng(1)
    found = 0
    for _ in range(50):
        figures = random.standard_normal(40)
        figures[20:] += 3
        found += any(abs(change.index - 20) <= 1 for change in find(figures, ALARMS))
    assert found >= 47


@given(st.lists(st.floats(-1e3, 1e3), max_size=30))
@example([0.0, 0.0, 0.0, 1.0, 2.5e-281, 0.0])
def test_every_part_between_changes_is_long_enough(figures):
    bounds = [0, *(change.index for change in find(figures, 0.5)), len(figures)]
    parts = [end - start for start, end in pairwise(bounds)]
    assert len(parts) == 1 or min(parts) >= FEWEST


@given(st.lists(st.integers(0, 5), min_size=8, max_size=40), st.sampled_from([2.0, 0.25]))
def test_the_unit_does_not_matter(figures, factor):
    scaled = [factor * figure for figure in figures]
    assert [change.index for change in find(figures, 0.2)] == [
        change.index for change in find(scaled, 0.2)
    ]


def test_the_p_value_counts_the_orders_that_are_as_extreme():
    """Of the 20 ways to choose 3 of 6 scores, the two with all low or all high ones together."""
    scores = change_points._scores(np.arange(6.0))
    largest = change_points._statistics(scores).max()
    assert change_points._p_value(scores, largest, 0.05) == pytest.approx(2 / 20, abs=0.03)
