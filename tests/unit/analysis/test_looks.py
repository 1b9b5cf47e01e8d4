"""The looks at a growing comparison share the error that the whole of it may have."""

from __future__ import annotations

import pytest

from deploybench.analysis import looks
from deploybench.analysis.regression import INCONCLUSIVE, SAME, SLOWER, Cell, Report


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_the_errors_of_all_looks_add_up_to_that_of_the_whole(confidence):
    one = 1 - looks.confidence_of_one(confidence)
    assert one * len(looks.PAIRS) == pytest.approx(1 - confidence)


def test_the_looks_come_in_order_and_begin_where_a_spread_is_known():
    assert list(looks.PAIRS) == sorted(set(looks.PAIRS))
    assert looks.PAIRS[0] >= 2


def test_only_models_with_an_inconclusive_cell_are_measured_again():
    cells = [
        Cell("a", "PyTorch", SAME),
        Cell("b", "PyTorch", INCONCLUSIVE),
        Cell("b", "TorchScript (C++)", INCONCLUSIVE),
        Cell("c", "PyTorch", SLOWER),
    ]
    assert looks.undecided(Report(tuple(cells))) == ["b"]
