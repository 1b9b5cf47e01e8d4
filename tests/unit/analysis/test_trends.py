"""The trend of each cell: its ratio to eager, its breaks, and its steps."""

from __future__ import annotations

import math

import pytest

from deploybench.analysis.trends import LATENCY, RATIO, ratio, trends
from deploybench.records import history
from deploybench.records.record import CaseRecord
from tests.unit import recorded_history as recorded

COUNT = 40


def found(storage, **options):
    return {
        trend.cell.backend: trend for trend in trends(history.load(storage, ratio).cells, **options)
    }


def figures(base: float, seed: int, *factors: float) -> list[float]:
    """COUNT figures that vary by 1 %; each factor belongs to an equal part of them."""
    part = COUNT // len(factors)
    return [
        base * noise * factors[place // part]
        for place, noise in enumerate(recorded.noise(COUNT, seed))
    ]


def case(backend: str, milliseconds: list[float], turns: tuple[int, ...]) -> CaseRecord:
    seconds = tuple(each / 1e3 for each in milliseconds)
    return CaseRecord("model", backend, backend, 0, seconds, turns=turns)


def test_the_ratio_is_that_of_rounds():
    """In the second round the machine was ten times slower, for both."""
    eager = case("eager", [10, 10, 100, 100, 10], (2, 2, 1))
    assert ratio(case("cpp", [5, 5, 50, 5], (2, 1, 1)), eager) == pytest.approx(0.5)


def test_a_slower_backend_is_named_and_eager_is_not(tmp_path):
    recorded.save_all(tmp_path, figures(20, 1, 1, 1), figures(10, 2, 1, 1.1))
    trend = found(tmp_path)
    assert trend["eager"].steps == ()
    (step,) = trend["cpp"].named
    assert (step.measure, step.index, step.before) == (RATIO, 20, 19)
    assert step.is_slower
    assert step.effect.low < math.log(1.1) < step.effect.high


def test_a_slower_machine_changes_latencies_but_no_ratio(tmp_path):
    slow = [1.0] * (COUNT // 2) + [1.3] * (COUNT // 2)
    pairs = zip(figures(20, 1, 1), figures(10, 2, 1), slow, strict=True)
    eager, cpp = zip(*((first * f, second * f) for first, second, f in pairs), strict=True)
    recorded.save_all(tmp_path, eager, cpp)
    trend = found(tmp_path)
    assert trend["cpp"].named == ()
    (step,) = trend["cpp"].steps_of(LATENCY)
    assert step.index == 20
    assert [step.index for step in trend["eager"].named] == [20]


def test_one_run_with_eager_hides_no_change_of_a_backend_alone(tmp_path):
    for number, milliseconds in enumerate(figures(10, 2, 1, 1.5), start=1):
        times = {"cpp": milliseconds} | ({"eager": 20.0} if number == 5 else {})
        recorded.save(tmp_path, number, times)
    assert [(step.measure, step.index) for step in found(tmp_path)["cpp"].named] == [(LATENCY, 20)]


def test_other_conditions_are_a_break_and_no_change(tmp_path):
    for number, noise in enumerate(recorded.noise(COUNT), start=1):
        version = "2.14.1" if number <= COUNT // 2 else "2.15.0"
        faster = 1 if number <= COUNT // 2 else 0.5
        times = {"eager": 20.0 * faster, "cpp": 10 * noise}
        recorded.save(tmp_path, number, times, torch=version)
    for trend in found(tmp_path).values():
        assert trend.steps == ()
        (each,) = trend.breaks
        assert (each.index, each.differences) == (20, ('torch: "2.14.1" -> "2.15.0"',))


def test_machines_that_take_turns_are_compared_each_with_itself(tmp_path):
    pairs = list(zip(figures(20, 1, 1), figures(10, 2, 1, 1.1), strict=True))
    for number, (eager, cpp) in enumerate(pairs, start=1):
        slower = 1 + number % 2
        times = {"eager": eager * slower, "cpp": cpp * slower}
        recorded.save(tmp_path, number, times, cpu=f"processor {number % 2}")
    trend = found(tmp_path)["cpp"]
    assert len(trend.breaks) == COUNT - 1
    assert [step.index for step in trend.named] == [20, 21]


def test_cells_that_differ_in_a_setting_are_told_apart(tmp_path):
    recorded.save(tmp_path, 1, {"eager": 1}, threads=1)
    recorded.save(tmp_path, 2, {"eager": 2}, threads=2)
    titles = [each.title for each in trends(history.load(tmp_path, ratio).cells)]
    assert titles == ["PyTorch [threads=1]", "PyTorch [threads=2]"]


def test_the_latest_figure_is_of_all_processes_of_the_last_commit(tmp_path):
    about = {"id": recorded.commit(1), "time": "2026-01-01T00:00:00Z", "dirty": False}
    for number, figure in enumerate([1.0, 2.0, 3.0], start=1):
        recorded.save(tmp_path, number, {"eager": figure}, about)
    assert [point.latency_ms for point in found(tmp_path)["eager"].latest] == [1, 2, 3]
    recorded.save(tmp_path, 4, {"eager": 4.0}, {**about, "dirty": True})
    assert [point.latency_ms for point in found(tmp_path)["eager"].latest] == [4]


def test_the_confidence_is_that_of_all_cells_together(tmp_path):
    """A step that one cell by itself would show is not named among many."""
    recorded.save_all(tmp_path, figures(20, 1, 1), figures(10, 2, 1, 1.009))
    assert found(tmp_path, confidence=0.5)["cpp"].named
    assert not found(tmp_path, confidence=0.9999)["cpp"].named
