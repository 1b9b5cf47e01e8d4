"""The rule of the gate for speed: what it calls slower, and how seldom it is wrong."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploybench.analysis import regression, tolerance
from deploybench.analysis.interval import compare
from deploybench.analysis.regression import Options, judge_runs
from deploybench.errors import FileError, UsageError
from deploybench.records.pooling import distinguished
from deploybench.records.record import CaseRecord, FailedCase, RunRecord
from deploybench.records.reduced import Reduced

CELL = ("resnet18", "PyTorch")


def run(name, figures, failed=(), disturbed=(), **fingerprint):
    """A run that holds milliseconds by model and column."""
    cases = tuple(
        CaseRecord(model, column.lower(), column, 0, (figure / 1e3,), disturbed=tuple(disturbed))
        for (model, column), figure in figures.items()
    )
    return RunRecord(Path(name), {"cpu": "some", **fingerprint}, cases, name, failed)


def test_a_change_of_the_layers_in_int8_is_judged_and_no_other_condition():
    def with_layers(name, layers, milliseconds):
        reduced = Reduced("int8", "within budget", "", "agreement>=0.99", layers=layers)
        made = run(name, {CELL: 10.0, ("resnet18", "Int8"): milliseconds})
        *others, last = made.cases
        return replace(made, cases=(*others, replace(last, reduced=reduced)))

    sides = [
        [with_layers(f"{name}{n}", layers, factor * each) for n, each in enumerate(STEADY)]
        for name, layers, factor in (("b", 53, 1.0), ("c", 54, 2.0))
    ]
    report = judge_runs(*distinguished(sides), Options())
    assert {cell.column: cell.verdict for cell in report.cells}["Int8"] == regression.SLOWER


def side(name, figures):
    return [run(f"{name}{number}", {CELL: figure}) for number, figure in enumerate(figures)]


def only(baseline, candidate, **options):
    (cell,) = judge_runs(side("b", baseline), side("c", candidate), Options(**options)).cells
    return cell


STEADY = [10.0, 10.02, 9.98, 10.01, 9.99]


@pytest.mark.parametrize(
    ("factor", "word"),
    [(1.0, "same"), (1.02, "same"), (1.1, "slower"), (0.9, "faster"), (1.05, "inconclusive")],
)
def test_a_steady_cell(factor, word):
    cell = only(STEADY, [factor * figure for figure in STEADY])
    assert cell.verdict == word
    assert math.expm1(cell.effect.estimate) == pytest.approx(factor - 1, abs=1e-9)


def test_a_certain_effect_below_the_tolerance_is_not_called_slower():
    slower = [1.03 * figure for figure in STEADY]
    assert only(STEADY, slower).verdict == "same"
    few = Options(tolerances=tolerance.Tolerances(0.02))
    (cell,) = judge_runs(side("b", STEADY), side("c", slower), few).cells
    assert cell.verdict == "slower"


def test_inconclusive_says_how_many_more_runs_would_settle_it():
    noisy = [10.0, 11.5, 9.0]
    cell = only(noisy, [1.1 * figure for figure in noisy])
    assert cell.verdict == "inconclusive"
    more = int(cell.note.split()[1])
    assert cell.note.endswith("more runs a side would settle it")
    spread = [9.0, 10.0, 11.5] * ((3 + more) // 3 + 1)
    assert only(spread, [1.1 * figure for figure in spread]).verdict == "slower"


@pytest.mark.parametrize(("before", "after", "more"), [([10.0], [20.0], 1), (STEADY, [20.0], 1)])
def test_the_spread_of_one_process_is_not_known(before, after, more):
    cell = only(before, after)
    assert cell.verdict == "inconclusive"
    assert f"at least {more} more run a side" in cell.note
    assert str(cell.effect) == "+100.0%"


def test_equal_figures_do_not_make_an_interval_without_width():
    effect = compare([1.0, 1.0], [1.0, 1.0], 0.95)
    assert effect.low < 0 < effect.high


def test_missing_new_and_wrong():
    first, second = run("b", {CELL: 1.0, ("vgg11", "PyTorch"): 2.0}), run("b2", {CELL: 1.0})
    candidate = run(
        "c",
        {("alexnet", "PyTorch"): 1.0},
        failed=(FailedCase("vgg11", "PyTorch", "different: class 3", "wrong"),),
    )
    report = judge_runs([first, second], [candidate], Options())
    found = {cell.model: (cell.verdict, cell.note) for cell in report.cells}
    assert found == {
        "alexnet": ("new", ""),
        "resnet18": ("missing", ""),
        "vgg11": ("wrong", "different: class 3"),
    }
    assert report.exit_code == 4


def failing(name, *kinds):
    """A run of the candidate in which the cell failed in these ways."""
    failed = tuple(FailedCase(*CELL, f"{kind} in {name}", kind) for kind in kinds)
    return run(name, {("alexnet", "PyTorch"): 1.0}, failed=failed)


@pytest.mark.parametrize("kind", ["wrong", "failed"])
def test_a_wrong_answer_is_distinguished_from_other_failures(kind):
    report = judge_runs(side("b", STEADY), [failing("c", kind)], Options())
    found = {cell.model: (cell.verdict, cell.note) for cell in report.cells}
    assert found["resnet18"] == (kind, f"{kind} in c")
    assert report.exit_code == 4


@pytest.mark.parametrize("kinds", [("wrong", "failed"), ("failed", "wrong")])
def test_what_was_wrong_once_is_wrong_whatever_else_happened(kinds):
    runs = [failing(f"c{number}", kind) for number, kind in enumerate(kinds)]
    cell = judge_runs(side("b", STEADY), runs, Options()).cells[1]
    assert (cell.model, cell.verdict) == ("resnet18", "wrong")
    assert cell.note.startswith("wrong in")


def test_other_conditions_are_not_comparable():
    report = judge_runs(
        [run("b", {CELL: 1.0}, threads=2)], [run("c", {CELL: 1.0}, threads=4)], Options()
    )
    assert [cell.verdict for cell in report.cells] == ["not comparable"]
    assert report.differences == ("threads: 2 -> 4",)
    assert report.exit_code == 3


def test_the_same_conditions_on_both_sides_have_cells_of_their_own():
    sides = [
        [
            run(f"{name}{number}{size}", {CELL: size * factor * figure}, batch_size=size)
            for number, figure in enumerate(STEADY)
            for size, factor in ((1, 1.0), (8, eight))
        ]
        for name, eight in (("b", 1.0), ("c", 1.2))
    ]
    report = judge_runs(*sides, Options())
    assert {cell.column: cell.verdict for cell in report.cells} == {
        "PyTorch [batch_size=1]": "same",
        "PyTorch [batch_size=8]": "slower",
    }
    assert report.exit_code == 1


def test_two_conditions_on_one_side_are_not_comparable_either():
    baseline = [run("b", {CELL: 1.0}, threads=2), run("b2", {CELL: 1.0}, threads=4)]
    report = judge_runs(baseline, [run("c", {CELL: 1.0}, threads=2)], Options())
    assert report.differences == ("threads: 2 and 4 -> 2",)


def test_the_same_run_on_both_sides_is_refused():
    with pytest.raises(UsageError, match="b0 is in both the baseline and the candidate"):
        judge_runs(side("b", STEADY), side("b", [1.0]), Options())


def test_a_log_is_refused():
    log = RunRecord(Path("log"), None, ())
    with pytest.raises(FileError, match="log is a log, which records no conditions"):
        judge_runs([log], side("c", STEADY), Options())


@pytest.mark.parametrize("figure", [math.nan, math.inf, 0.0, -1.0, 2e-11])
def test_a_figure_that_is_not_a_time_is_refused(figure):
    with pytest.raises(FileError, match="which is not a time"):
        judge_runs(side("b", STEADY), side("c", [figure]), Options())


def test_a_disturbed_cell_is_noted():
    disturbed = [run("c", {CELL: 1.0}, disturbed=["other processes"])]
    (cell,) = judge_runs(side("b", STEADY), disturbed, Options()).cells
    assert cell.note.endswith("; disturbed")


CELLS = [(f"model{number}", "PyTorch") for number in range(30)]


def simulated(random, name, count, spread, slowed=1.0):
    runs = []
    for number in range(count):
        figures = {cell: 10.0 * math.exp(random.normal(0, spread)) for cell in CELLS}
        figures[CELLS[0]] *= slowed
        runs.append(run(f"{name}{number}", figures))
    return runs


@pytest.mark.parametrize("spread", [0.01, 0.1])
def test_where_nothing_differs_a_report_seldom_says_that_something_does(spread):
    random, wrong = np.random.default_rng(0), 0
    for _ in range(200):
        report = judge_runs(
            simulated(random, "b", 5, spread), simulated(random, "c", 5, spread), Options()
        )
        wrong += bool(report.counts["slower"] + report.counts["faster"])
    # 5% are allowed: 10 of 200, and three standard deviations of that count.
    assert wrong <= 10 + 3 * math.sqrt(200 * 0.05 * 0.95)


def test_ten_percent_are_seen_with_five_runs_a_side():
    random, seen = np.random.default_rng(0), 0
    for _ in range(100):
        report = judge_runs(
            simulated(random, "b", 5, 0.01), simulated(random, "c", 5, 0.01, slowed=1.1), Options()
        )
        seen += {cell.model: cell.verdict for cell in report.cells}["model0"] == "slower"
    assert seen >= 90


figures = st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=6)


@given(figures, figures)
def test_the_mirror_of_a_verdict_is_its_mirror(before, after):
    mirror = {"slower": "faster", "faster": "slower"}
    there, back = only(before, after), only(after, before)
    assert back.verdict == mirror.get(there.verdict, there.verdict)


@given(figures, figures, st.floats(0.01, 100.0))
def test_the_unit_does_not_matter(before, after, factor):
    scaled = ([factor * figure for figure in each] for each in (before, after))
    here, there = only(before, after), only(*scaled)
    assert there.effect.estimate == pytest.approx(here.effect.estimate, abs=1e-9)


@given(figures, figures)
def test_every_cell_gets_a_verdict_and_every_report_an_exit_code(before, after):
    report = judge_runs(side("b", before), side("c", after), Options())
    assert {cell.verdict for cell in report.cells} <= set(regression.VERDICTS)
    assert report.exit_code in (0, 1, 3, 4, 5)
