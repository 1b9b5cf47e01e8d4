"""What a backend costs, when that has paid, and which one to take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deploybench.analysis import costs, recommendation
from deploybench.errors import FileError
from deploybench.records.record import CaseRecord, RunRecord

COLUMNS = {
    "eager": ("PyTorch", 0, True),
    "scripted": ("TorchScript (Python)", 10, True),
    "cpp": ("TorchScript (C++)", 20, False),
}


def case(backend, milliseconds, export_seconds=None, model="resnet18"):
    column, order, needs_python = COLUMNS[backend]
    return CaseRecord(
        model,
        backend,
        column,
        order,
        (milliseconds / 1e3,),
        export_seconds=export_seconds,
        load_seconds=0.25,
        first_call_ms=30.0,
        artifact_bytes=3 * 2**20,
        needs_python=needs_python,
    )


def run(*cases, **fingerprint):
    return RunRecord(Path("run"), {"cpu": "some", **fingerprint}, cases)


def cells(*runs):
    header, *rows = costs.to_rows(runs)
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_break_even_is_when_the_export_has_been_saved():
    # 2 s of export, 4 ms saved a call.
    found = cells(run(case("eager", 10.0), case("scripted", 6.0, 2.0)))
    assert [each["Backend"] for each in found] == ["PyTorch", "TorchScript (Python)"]
    assert [each["Break-even"] for each in found] == ["-", "500"]
    assert found[1]["Export (s)"] == "2.00"
    assert found[1]["File (MiB)"] == "3.0"
    assert found[1]["Median (ms)"] == "6.00"
    assert found[1]["Second call (ms)"] == "-"


def test_what_compiles_in_its_first_call_pays_for_that():
    # 30 ms of a first call, 4 ms saved a call.
    found = cells(run(case("eager", 10.0), case("scripted", 6.0)))
    assert [each["Break-even"] for each in found] == ["-", "8"]


def test_a_backend_that_is_no_faster_never_pays_off():
    assert cells(run(case("eager", 10.0), case("cpp", 10.0, 2.0)))[1]["Break-even"] == "never"


def test_without_eager_the_break_even_says_so():
    assert cells(run(case("cpp", 10.0, 2.0)))[0]["Break-even"] == "no eager"


def paired(eager, other, **about):
    """Eager and C++ with these milliseconds, one for each round, and 2 s of export."""
    return run(
        *(
            replace(
                case(backend, 1.0, export_seconds),
                samples_seconds=tuple(each / 1e3 for each in samples),
                turns=(1,) * len(samples),
                **about,
            )
            for backend, samples, export_seconds in (("eager", eager, None), ("cpp", other, 2.0))
        )
    )


def test_break_even_is_of_the_ratio_that_the_speed_up_shows():
    # Eager's last rounds have no pair: by rounds 1.25 times, by medians 1.5 times.
    found = paired([10.0, 10.0, 10.0, 12.0, 12.0, 12.0, 12.0], [8.0, 8.0, 8.0])
    (best,) = recommendation.recommend([found])
    # Each call saves 20 % of eager's median of 12 ms, so 2 s are saved after 834 calls.
    assert "1.25 [1.25, 1.25] times as fast, export 2.0 s, paid back after 834 calls" in best.line()
    assert cells(found)[1]["Break-even"] == "834"


def test_no_backend_is_named_faster_that_the_table_shows_slower():
    # In the rounds that both had, C++ is 1.1 times as fast; by the medians it takes twice as long.
    found = paired([11.0, 11.0, 11.0, 5.0, 5.0, 5.0, 5.0, 5.0], [10.0, 10.0, 10.0])
    (best,) = recommendation.recommend([found])
    assert best.line() == "resnet18: measure again: TorchScript (C++) 1.10 [1.10, 1.10]"
    assert cells(found)[1]["Break-even"] == "measure again"


def test_a_disturbed_speed_up_is_measured_again_and_never_recommended():
    found = paired([10.0, 10.0], [5.0, 5.0], disturbed=("steal",))
    again = recommendation.recommend([found])
    assert again[0].line() == "resnet18: measure again: TorchScript (C++) 2.00 [2.00, 2.00]*"
    assert recommendation.summary(again) == "fastest of 0 models; 1 without a recommendation"
    assert cells(found)[1]["Break-even"] == "measure again*"


def test_costs_of_several_runs_are_their_medians():
    runs = [run(case("eager", 10.0), case("cpp", 6.0, seconds)) for seconds in (1.0, 2.0, 9.0)]
    assert cells(*runs)[1]["Export (s)"] == "2.00"
    (best,) = recommendation.recommend(runs)
    assert best.fastest.cost.startswith("export 2.0 s, paid back after 500 calls")


def test_the_median_of_a_disturbed_run_is_marked():
    eager, cpp = case("eager", 10.0), case("cpp", 6.0)
    disturbed = replace(cpp, disturbed=("steal",))
    assert [each["Median (ms)"] for each in cells(run(eager, disturbed))] == ["10.00", "6.00*"]


def test_the_fastest_is_named_and_the_fastest_without_python():
    found = run(case("eager", 12.0), case("scripted", 6.0, 2.0), case("cpp", 8.0, 2.0))
    (best,) = recommendation.recommend([found])
    assert best.fastest.column == "TorchScript (Python)"
    assert best.without_python.column == "TorchScript (C++)"
    line = best.line()
    assert line.startswith("resnet18: TorchScript (Python), 2.00 ~ times as fast")
    assert "paid back after 334 calls" in line
    assert "; without Python: TorchScript (C++), 1.50 ~ times as fast" in line


def test_where_nothing_is_faster_eager_is_recommended():
    (best,) = recommendation.recommend([run(case("eager", 5.0), case("scripted", 6.0, 2.0))])
    assert best.line() == "resnet18: PyTorch"


def test_a_backend_that_is_both_is_named_once():
    (best,) = recommendation.recommend([run(case("eager", 9.0), case("cpp", 6.0, 2.0))])
    assert best.line().endswith(", which needs no Python")
    assert best.line().count("TorchScript (C++)") == 1


def test_the_summary_counts():
    found = [
        run(
            *(case("eager", 9.0, model=model) for model in "abc"),
            *(case("cpp", 6.0, 2.0, model=model) for model in "ab"),
            case("scripted", 6.0, 2.0, model="c"),
        )
    ]
    assert recommendation.summary(recommendation.recommend(found)) == (
        "fastest of 3 models: TorchScript (C++) 2, TorchScript (Python) 1; in geometric mean 1.50 "
        "times as fast as eager, 1.50 without Python (2 models)"
    )


def test_runs_under_different_conditions_are_refused():
    runs = [run(case("eager", 9.0), case("cpp", 6.0), threads=count) for count in (1, 2)]
    with pytest.raises(FileError, match="different conditions: threads=1; threads=2: give runs"):
        recommendation.recommend(runs)
    log = RunRecord(Path("a.log"), None, (case("eager", 9.0),))
    with pytest.raises(FileError, match="different conditions: a log, which records none:"):
        recommendation.recommend([runs[0], log])


def test_a_model_without_eager_is_named_and_the_rest_recommended():
    found = run(case("eager", 9.0), case("cpp", 6.0), case("cpp", 6.0, model="vgg11"))
    rest, lacking = recommendation.recommend([found])
    assert rest.line().startswith("resnet18: TorchScript (C++), 1.50 ~ times as fast")
    assert lacking.line() == (
        "vgg11: no run has vgg11 through both TorchScript (C++) and eager; run it with --backends "
        "eager,..."
    )
    assert recommendation.summary([rest, lacking]).endswith("; 1 without a recommendation")


def test_a_figure_without_eager_in_its_run_is_not_silently_skipped():
    with_eager, without = run(case("eager", 9.0), case("scripted", 6.0)), run(case("cpp", 3.0))
    (best,) = recommendation.recommend([with_eager, without])
    assert best.fastest.column == "TorchScript (Python)"
    assert "; no run has resnet18 through both TorchScript (C++) and eager;" in best.line()


def test_copies_that_ran_beside_the_timed_one_have_a_column_of_their_own():
    alone, _ = costs.to_rows([run(case("eager", 10.0))])
    assert "Neighbours (ms)" not in alone
    runs = [
        run(replace(case("eager", 10.0), neighbours_ms=copies), neighbours=3)
        for copies in ((11.0, 15.0), (12.0, 16.0), (13.0, 99.0))
    ]
    (row,) = cells(*runs)
    assert row["Neighbours (ms)"] == "12.00, 16.00"
    assert [*row][-2:] == ["Neighbours (ms)", "Break-even"]
