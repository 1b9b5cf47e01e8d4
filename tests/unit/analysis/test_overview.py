"""What a report of runs shows, as figures."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from deploybench.analysis import distribution, geometric_mean, overview
from deploybench.errors import FileError, UsageError
from deploybench.records.record import FAILED, WRONG, CaseRecord, FailedCase, Peak, RunRecord

TITLES = {"eager": ("PyTorch", 0), "fast": ("Fast", 10), "slow": ("Slow", 20)}


def case(model: str, backend: str, milliseconds: list[float], **more) -> CaseRecord:
    title, place = TITLES[backend]
    seconds = tuple(each / 1e3 for each in milliseconds)
    turns = (5,) * (len(seconds) // 5)
    return CaseRecord(model, backend, title, place, seconds, turns=turns, **more)


def around(middle: float, count: int = 20) -> list[float]:
    """Samples whose median is `middle`, so that rounds differ a little."""
    return [middle * (1 + 0.001 * ((number % 5) - 2 + number // 5 % 2)) for number in range(count)]


def run(name: str, *cases: CaseRecord, **more) -> RunRecord:
    return RunRecord(Path(name), {"threads": 1}, cases, identity=name, **more)


def one(**more) -> RunRecord:
    return run(
        "one",
        *(case("net", "eager", around(10)), case("net", "fast", around(5))),
        *(case("net", "slow", around(20)), case("vit", "eager", around(8))),
        case("vit", "fast", around(2)),
        **more,
    )


def test_every_model_has_a_cell_in_every_column_in_the_order_of_the_table():
    found = overview.of([one()])
    assert [column.title for column in found.columns] == ["PyTorch", "Fast", "Slow"]
    assert [cell.state for cell in found.row("vit")] == ["timed", "timed", "absent"]
    assert found.counts == {"timed": 5, "wrong": 0, "failed": 0, "absent": 1}
    assert found.cells["net", "Fast"].latency_ms == pytest.approx(5, rel=0.01)


def test_the_answer_is_the_fastest_backend_that_is_right_for_all_models():
    (answer,) = overview.of([one()]).answers
    assert answer.for_all.column.title == "Fast"
    assert answer.for_all.speedup.ratio == pytest.approx(math.sqrt(2 * 4), rel=0.01)
    assert [each.choice.fastest.column for each in answer.advice] == ["Fast", "Fast"]


def test_a_backend_that_was_wrong_in_any_run_is_not_recommended():
    wrong = FailedCase("net", "Fast", "different: class 3", WRONG, "fast")
    second = run("two", case("net", "eager", around(10)), failed=(wrong,))
    found = overview.of([one(), second])
    cell = found.cells["net", "Fast"]
    assert (cell.state, cell.reasons) == (WRONG, ("different: class 3",))
    net, _ = found.answers[0].advice
    assert net.choice.fastest.column == "PyTorch"
    assert found.answers[0].for_all is None


def test_a_column_that_only_failed_is_shown():
    failed = FailedCase("net", "Broken", "no operator", FAILED, "broken")
    found = overview.of([one(failed=(failed,))])
    assert found.columns[-1].title == "Broken"
    assert found.cells["net", "Broken"].state == FAILED


def test_what_is_no_slower_in_the_same_rounds_is_a_rival():
    fast = around(5)
    close = [each * (1.004 if place // 5 % 2 else 0.998) for place, each in enumerate(fast)]
    runs = run(
        "close",
        *(case("net", "eager", around(10)), case("net", "fast", fast)),
        case("net", "slow", close),
    )
    (advice,) = overview.of([runs]).answers[0].advice
    assert {advice.choice.fastest.column, *advice.rivals} == {"Fast", "Slow"}


def test_without_eager_there_is_a_reason_instead_of_advice():
    found = overview.of([run("alone", case("net", "fast", around(5)))])
    (advice,) = found.answers[0].advice
    assert advice.choice is None
    assert "eager" in advice.problem
    assert found.cells["net", "Fast"].speedup is None


def test_runs_under_other_conditions_get_columns_and_an_answer_of_their_own():
    other = replace(one(), fingerprint={"threads": 2}, identity="other")
    found = overview.of([one(), other])
    assert [column.title for column in found.columns[:2]] == [
        "PyTorch [threads=1]",
        "PyTorch [threads=2]",
    ]
    assert [answer.label for answer in found.answers] == [" [threads=1]", " [threads=2]"]


def test_the_distance_from_the_limit_is_the_latency_over_the_roofline_bound():
    measured = case("net", "eager", around(10), flops=10**9, weight_bytes=10**6)
    found = overview.of([run("r", measured, peak=Peak(1e12, 1e11))])
    assert found.cells["net", "PyTorch"].times_floor == pytest.approx(10, rel=0.01)


def test_a_log_is_shown_beside_a_run_and_never_pooled_with_it():
    log = RunRecord(Path("old.log"), None, (CaseRecord("net", None, "PyTorch", None, (0.02,)),))
    found = overview.of([one(), log])
    assert found.cells["net", "PyTorch"].latency_ms == pytest.approx(10, rel=0.01)
    assert found.cells["net", "PyTorch [old.log]"].latency_ms == pytest.approx(20)


def test_the_same_run_is_not_its_own_baseline():
    with pytest.raises(UsageError, match="both the baseline and the candidate"):
        overview.of([one()], [one()])


def test_the_mean_of_several_processes_is_over_the_processes():
    pairs = [
        [(case(name, "eager", around(10)), case(name, "fast", around(10 / ratio))) for ratio in by]
        for name, by in (("a", (2.0, 2.2)), ("b", (8.0, 7.6)))
    ]
    found = geometric_mean.of(pairs)
    assert found.ratio == pytest.approx(math.sqrt(math.sqrt(2 * 2.2) * math.sqrt(8 * 7.6)))
    assert found.units == 2
    assert found.low < found.ratio < found.high


def test_the_mean_has_an_interval_if_a_process_lacks_a_model():
    def pair(name: str, ratio: float) -> geometric_mean.Pair:
        return case(name, "eager", around(10)), case(name, "fast", around(10 / ratio))

    found = geometric_mean.of([[pair("a", 2.0), pair("a", 2.2)], [pair("b", 8.0)]])
    assert found.ratio == pytest.approx(math.sqrt(math.sqrt(2 * 2.2) * 8), rel=0.01)
    assert found.low < found.ratio < found.high


def test_the_interval_of_one_process_is_that_of_its_models_together():
    def rounds(name: str, backend: str, by_round: list[float]) -> CaseRecord:
        return case(name, backend, [each for each in by_round for _ in range(5)])

    # The logarithms of the ratios are -d, 0 and d, so that each variance is d squared.
    d = 0.1
    fast = [10 / math.exp(step) for step in (-d, 0.0, d)]
    pairs = [(rounds(name, "eager", [10] * 3), rounds(name, "fast", fast)) for name in "ab"]
    found = geometric_mean.of([[pair] for pair in pairs])
    # Student's quantile for 2 + 2 degrees of freedom is 2.776.
    half = 2.776 * math.sqrt(math.pi / 2 * 2 * d**2 / 3) / 2
    assert math.log(found.high) == pytest.approx(half, rel=1e-3)
    assert math.log(found.low) == pytest.approx(-half, rel=1e-3)


def test_a_burst_of_one_call_is_still_in_the_thinned_samples():
    samples = around(10, 1000)
    samples[437] = 90.0
    found = distribution.of([case("net", "eager", samples)], 20)
    (series,) = found.series
    assert len(series) == 20
    assert sum(point.calls for point in series) == 1000
    assert max(point.largest for point in series) == pytest.approx(90)
    assert found.quantiles[-1] == pytest.approx(90)
    assert found.claimed[0.99] is not None


def test_a_point_is_a_round_if_there_are_few():
    found = distribution.of([case("net", "eager", around(10, 20))], 40)
    assert [point.calls for point in found.series[0]] == [5, 5, 5, 5]
    assert found.claimed[0.9] is None


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.inf])
def test_a_sample_that_is_not_a_time_is_one_clear_error(seconds):
    broken = replace(case("net", "eager", around(10)), samples_seconds=(0.01, seconds), turns=None)
    with pytest.raises(FileError, match=r"^r: net in PyTorch has a sample of .* not a time"):
        overview.of([run("r", broken)])
