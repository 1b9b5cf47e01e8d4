"""Speed-ups against eager: paired by turns in one run, by processes in several."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deploybench.analysis import speedup
from deploybench.errors import FileError
from deploybench.records.record import CaseRecord, RunRecord

PRINT = {"cpu": "some processor"}


def case(backend, samples, turns=None, model="resnet18"):
    column, order = {"eager": ("PyTorch", 0), "cpp": ("TorchScript (C++)", 20)}[backend]
    return CaseRecord(model, backend, column, order, tuple(samples), turns=turns)


def run(*cases, **fingerprint):
    return RunRecord(Path("run"), {**PRINT, **fingerprint}, cases)


def cell(*runs):
    ((found,),) = (column.values() for column in speedup.compare(runs).values())
    return found


def test_each_turn_is_a_pair_so_that_drift_cancels_out():
    # Twice as fast in every turn, while the machine slows down threefold.
    eager = [2.0, 2.0, 4.0, 4.0, 6.0, 6.0]
    cpp = [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    found = cell(run(case("eager", eager, [2, 2, 2]), case("cpp", cpp, [2, 2, 2])))
    assert (found.ratio, found.low, found.high, found.units) == pytest.approx((2, 2, 2, 3))
    assert not found.holds_one


def test_a_disturbed_turn_does_not_move_the_figure_of_one_run():
    eager, cpp = [2.0, 2.02, 12.0, 1.98, 2.0], [1.0, 1.01, 1.0, 0.99, 1.0]
    found = cell(run(case("eager", eager, [1] * 5), case("cpp", cpp, [1] * 5)))
    assert found.ratio == pytest.approx(2)
    assert found.low < 2 < found.high
    assert found.high > 4


def test_only_turns_that_both_had_are_paired():
    found = cell(run(case("eager", [2.0, 2.0], [1, 1]), case("cpp", [1.0] * 5, [1] * 5)))
    assert found.units == 2


def test_with_several_runs_the_process_is_the_unit():
    runs = [
        run(case("eager", [ratio] * 4, [2, 2]), case("cpp", [1.0] * 4, [2, 2]))
        for ratio in (1.9, 2.0, 2.1)
    ]
    found = cell(*runs)
    assert found.units == 3
    assert found.ratio == pytest.approx((1.9 * 2.0 * 2.1) ** (1 / 3))
    assert found.low < 1.9 < 2.1 < found.high


def test_one_pair_has_no_interval_and_is_marked():
    found = cell(run(case("eager", [3.0]), case("cpp", [1.0])))
    assert str(found) == "3.00 ~"


def test_a_figure_of_a_disturbed_run_is_marked():
    eager, cpp = case("eager", [2.0]), case("cpp", [1.0])
    found = cell(run(eager, cpp), run(eager, replace(cpp, disturbed=("steal",))))
    assert str(found) == "2.00 [2.00, 2.00]*"


def test_an_interval_that_holds_one_is_marked():
    eager, cpp = [1.0, 1.1, 0.9], [1.1, 1.0, 0.9]
    found = cell(run(case("eager", eager, [1, 1, 1]), case("cpp", cpp, [1, 1, 1])))
    assert found.holds_one
    assert str(found).endswith("] ~")


def test_the_interval_holds_the_truth_as_often_as_it_says():
    random, held = np.random.default_rng(1), 0
    for _ in range(300):
        eager = random.lognormal(math.log(1.5), 0.02, 8)
        cpp = random.lognormal(0.0, 0.02, 8)
        found = cell(run(case("eager", eager, [1] * 8), case("cpp", cpp, [1] * 8)))
        held += found.low <= 1.5 <= found.high
    assert 0.91 * 300 <= held <= 0.99 * 300


def test_the_last_row_is_the_geometric_mean_over_the_models_that_all_columns_have():
    cases = [
        case(backend, [seconds], model=model)
        for model, eager, cpp in (("a", 2.0, 1.0), ("b", 8.0, 1.0))
        for backend, seconds in (("eager", eager), ("cpp", cpp))
    ]
    rows = speedup.to_rows(speedup.compare([run(*cases, case("eager", [1.0], model="c"))]))
    assert rows == [
        ["Model", "TorchScript (C++)"],
        ["a", "2.00 ~"],
        ["b", "8.00 ~"],
        ["geometric mean of 2", "4.00"],
    ]


def test_runs_under_other_conditions_have_columns_of_their_own():
    runs = [run(case("eager", [2.0]), case("cpp", [1.0]), threads=count) for count in (1, 2)]
    assert list(speedup.compare(runs)) == [
        "TorchScript (C++) [threads=1]",
        "TorchScript (C++) [threads=2]",
    ]


def test_without_eager_there_is_no_figure():
    with pytest.raises(FileError, match="no run has both eager and another backend"):
        speedup.compare([run(case("cpp", [1.0]))])


def test_a_model_without_eager_is_named_beside_the_rest():
    cases = case("eager", [2.0]), case("cpp", [1.0]), case("cpp", [1.0], model="vgg11")
    found = run(*cases)
    assert speedup.to_rows(speedup.compare([found]), speedup.without_baseline([found])) == [
        ["Model", "TorchScript (C++)"],
        ["resnet18", "2.00 ~"],
        ["vgg11", "no eager"],
        ["geometric mean of 1", "2.00"],
    ]


@pytest.mark.parametrize(
    ("eager", "disturbed", "words"),
    [
        ([2.0] * 4, ("steal",), "2.00 [2.00, 2.00]* measure again"),
        # As wide as these, they are not known within a factor of two.
        ([1.0, 3.0, 1.5, 4.0], (), "] ~ measure again"),
        ([8.0, 80.0, 20.0, 9.0], ("steal",), "]* measure again"),
    ],
)
def test_a_doubtful_speed_up_keeps_its_marks_and_is_in_no_mean(eager, disturbed, words):
    cpp = replace(case("cpp", [1.0] * 4, [1] * 4), disturbed=disturbed)
    sure = case("eager", [3.0], model="a"), case("cpp", [1.0], model="a")
    found = run(*sure, case("eager", eager, [1] * 4), cpp)
    first, doubtful, mean = speedup.to_rows(speedup.compare([found]))[1:]
    assert (first, mean) == (["a", "3.00 ~"], ["geometric mean of 1", "3.00"])
    assert doubtful[1].endswith(words)
