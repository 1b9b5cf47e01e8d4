"""A cell that noise hides is judged beside its model's other backends."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deploybench.analysis.regression import Options, judge_runs
from deploybench.records.record import CaseRecord, RunRecord

# A model's backends as one process times them: each turn has noise of its own, and what the machine
# does hits all of them alike.
COLUMNS = ("PyTorch", "TorchScript (Python)", "TorchScript (C++)")


def noisy(random, name, count=5, factors=(1.0, 1.0, 1.0), common=0.15, turn=0.03, turns=12):
    """Runs of five models; the first model's columns take `factors` times as long."""
    runs = []
    for number in range(count):
        cases = []
        for model in range(5):
            machine = random.normal(0, common) + random.normal(0, common, turns)
            for column, factor in zip(COLUMNS, factors if model == 0 else (1, 1, 1), strict=True):
                logs = machine + random.normal(0, turn, turns)
                samples = tuple(0.01 * factor * np.exp(logs))
                about = f"model{model}", column.lower(), column, 0
                cases.append(CaseRecord(*about, samples, turns=(1,) * turns))
        named = f"{name}{number}"
        runs.append(RunRecord(Path(named), {"cpu": "some"}, tuple(cases), named))
    return runs


def changed(report):
    """The cells that are called slower or faster."""
    words = {(cell.model, cell.column): cell.verdict for cell in report.cells}
    return {key: word for key, word in words.items() if word in ("slower", "faster")}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize(("factor", "word"), [(1.1, "slower"), (0.9, "faster")])
def test_one_backend_is_judged_beside_the_others_where_the_machine_is_noisy(column, factor, word):
    random, seen = np.random.default_rng(0), 0
    factors = [factor if each == column else 1.0 for each in COLUMNS]
    for _ in range(50):
        report = judge_runs(noisy(random, "b"), noisy(random, "c", factors=factors), Options())
        found = changed(report)
        assert set(found) <= {("model0", column)}
        seen += found == {("model0", column): word}
    assert seen >= 45
    cell = next(cell for cell in report.cells if cell.effect and cell.beside)
    assert set(cell.beside) == set(COLUMNS) - {column}
    assert cell.note.startswith("beside ") and "by itself" in cell.note
    assert math.expm1(cell.effect.estimate) == pytest.approx(factor - 1, abs=0.05)


def test_beside_others_nothing_is_called_changed_where_nothing_is():
    random, wrong = np.random.default_rng(0), 0
    for _ in range(200):
        wrong += bool(changed(judge_runs(noisy(random, "b"), noisy(random, "c"), Options())))
    assert wrong <= 10 + 3 * math.sqrt(200 * 0.05 * 0.95)


def test_two_backends_do_not_tell_which_of_them_changed():
    random = np.random.default_rng(0)
    sides = noisy(random, "b"), noisy(random, "c", factors=(1.0, 1.0, 1.15))
    two = [[replace(run, cases=run.cases[1:3]) for run in side] for side in sides]
    assert changed(judge_runs(*two, Options())) == {}


def test_a_backend_is_not_slower_for_the_others_being_known_to_be_faster():
    random = np.random.default_rng(0)
    steady = {"common": 0.03, "turn": 0.003}
    sides = noisy(random, "b", **steady), noisy(random, "c", factors=(1, 0.7, 0.7), **steady)
    assert changed(judge_runs(*sides, Options())) == {
        ("model0", column): "faster" for column in COLUMNS[1:]
    }


def test_each_condition_has_its_own_processes_to_be_looked_at_within():
    random = np.random.default_rng(0)
    sides = [
        [
            replace(run, fingerprint={"batch_size": size}, identity=f"{run.identity}-{size}")
            for size in (1, 8)
            for run in noisy(random, name, factors=(1, factor if size == 8 else 1, 1))
        ]
        for name, factor in (("b", 1.0), ("c", 1.15))
    ]
    assert changed(judge_runs(*sides, Options())) == {
        ("model0", "TorchScript (Python) [batch_size=8]"): "slower"
    }


def test_more_runs_are_counted_by_what_settles_first():
    random = np.random.default_rng(1)
    noise = {"common": 0.3, "turn": 0.1}
    sides = noisy(random, "b", 3, **noise), noisy(random, "c", 3, (1.15, 1, 1), **noise)
    cell = judge_runs(*sides, Options()).cells[0]
    alone = [
        [replace(run, cases=[case for case in run.cases if case.column == "PyTorch"]) for run in s]
        for s in sides
    ]
    by_itself = judge_runs(*alone, Options()).cells[0]
    assert cell.verdict == by_itself.verdict == "inconclusive"
    assert int(cell.note.split()[1]) < int(by_itself.note.split()[1])
