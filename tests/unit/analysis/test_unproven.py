"""Figures of reduced precision that are not shown to be within their budget: marked everywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deploybench.analysis import (
    costs,
    overview,
    recommendation,
    regression,
    roofline_bound,
    speedup,
    table,
)
from deploybench.records.record import CaseRecord, Check, Peak, RunRecord
from deploybench.records.reduced import NOT_JUDGED, OVER, UNDECIDED, WITHIN, Reduced
from deploybench.report import page, recommended, summary
from deploybench.report.formats import GATE
from deploybench.report.tables import View

UNPROVEN = (OVER, NOT_JUDGED, UNDECIDED)
CONDITIONS = {"cpu": "some processor", "threads": 2}


def verdict(status: str) -> Reduced:
    return Reduced("int8", status, f"{status}: 9 of 640 images", "agreement>=99%", 640, 631)


def case(model: str, backend: str, milliseconds: float, status: str = "") -> CaseRecord:
    titles = {"eager": ("PyTorch", 0), "cpp": ("C++", 20), "int8": ("ORT (int8)", 127)}
    title, order = titles[backend]
    samples = tuple(1e-3 * milliseconds * (1 + 0.001 * (call % 3)) for call in range(9))
    return CaseRecord(
        model,
        backend,
        title,
        order,
        samples,
        check=Check(status or "exact", 1.0, 2.0, 2),
        batch_size=1,
        flops=10**9,
        weight_bytes=10**6,
        export_seconds=None if backend == "eager" else 1.0,
        needs_python=backend != "cpp",
        turns=(3, 3, 3),
        reduced=verdict(status) if status else None,
    )


def run(*statuses: str, name: str = "run", slower: float = 1.0) -> RunRecord:
    """A run with a model for each status of its int8 column."""
    cases = [
        made
        for number, status in enumerate(statuses)
        for made in (
            case(f"model{number}", "eager", 10),
            case(f"model{number}", "cpp", 5),
            case(f"model{number}", "int8", 2 * slower, status),
        )
    ]
    peak = Peak(1e12, 1e11)
    return RunRecord(Path(name), CONDITIONS, tuple(cases), identity=name, peak=peak)


def mark(status: str) -> str:
    return f"[{status.upper()}]"


@pytest.mark.parametrize("status", UNPROVEN)
def test_every_table_marks_the_figure(status):
    runs = [run(status)]
    rows = table.to_rows(table.merge(runs), table.disturbed(runs), 2, table.unproven(runs))
    assert rows[1] == ["model0", "10.01", "5.00", f"2.00 {mark(status)}"]
    compared = speedup.to_rows(speedup.compare(runs))
    assert [mark(status) in cell for cell in compared[1]] == [False, False, True]
    assert [mark(status) in cell for cell in compared[-1]] == [False, False, True], "the mean too"
    assert [mark(status) in row[-3] for row in costs.to_rows(runs)[1:]] == [False, False, True]
    assert mark(status) in roofline_bound.to_rows(runs)[1][-1]


def test_within_budget_is_not_marked():
    runs = [run(WITHIN)]
    shown = table.to_rows(table.merge(runs), table.disturbed(runs), 2, table.unproven(runs))
    texts = [shown, speedup.to_rows(speedup.compare(runs)), costs.to_rows(runs)]
    assert "BUDGET" not in str(texts)


def test_the_worst_of_several_runs_counts():
    runs = [run(WITHIN, name="one"), run(OVER, name="two"), run(UNDECIDED, name="three")]
    assert table.unproven(runs).loc["model0"].tolist() == ["", "", f" {mark(OVER)}"]
    assert mark(OVER) in speedup.to_rows(speedup.compare(runs))[1][-1]


@pytest.mark.parametrize("status", UNPROVEN)
def test_recommend_never_names_it_although_it_is_the_fastest(status):
    (found,) = recommendation.recommend([run(status)])
    assert found.fastest.column == found.without_python.column == "C++"
    assert "not to be recommended: ORT (int8) 5.00" in found.line()
    assert mark(status) in found.line()
    rows = {tuple(row[1:3]): row[3] for row in recommended.table([run(status)]).rows}
    assert mark(status) in rows["not recommended", "ORT (int8)"]
    assert rows["fastest", "C++"]
    (proven,) = recommendation.recommend([run(WITHIN)])
    assert proven.fastest.column == "ORT (int8)"


def test_beside_it_alone_eager_is_no_choice_either():
    alone = replace(
        run(NOT_JUDGED),
        cases=tuple(each for each in run(NOT_JUDGED).cases if each.backend != "cpp"),
    )
    (found,) = recommendation.recommend([alone])
    assert found.fastest is None
    assert recommendation.summary([found]) == "fastest of 0 models; 1 without a recommendation"


def test_no_mean_of_a_report_has_it_and_no_headline_ships_it():
    shown = overview.of([run(WITHIN, OVER)])
    (answer,) = shown.answers
    means = {mean.column.title: (mean.models, mean.of) for mean in answer.means}
    assert means == {"C++": (2, 2), "ORT (int8)": (1, 2)}
    assert answer.for_all.column.title == "C++"
    assert [each.choice.fastest.column for each in answer.advice] == ["ORT (int8)", "C++"]
    proven = overview.of([run(WITHIN, WITHIN)])
    assert proven.answers[0].for_all.column.title == "ORT (int8)"


@pytest.mark.parametrize("status", UNPROVEN)
def test_a_page_and_a_summary_mark_it_and_say_why(status):
    shown = overview.of([run(status)])
    html, markdown = page.render(shown), summary.render(shown)
    assert html.count(mark(status)) >= 3, "the latency, and the speed-up in a plot and a table"
    assert f'">5.00 {mark(status)}</text>' in html
    assert f"2.00 \\{mark(status)}" in markdown
    for text in (html, markdown):
        assert "2 of 3 cells gave the right answer; 1 of reduced precision not shown" in text
        assert f"{status}: 9 of 640 images" in text


@pytest.mark.parametrize("form", ["text", "markdown", "json", "junit"])
def test_the_gate_lists_and_marks_it_even_if_it_is_the_same(form):
    names = iter("abcdef")
    baseline, candidate = ([run(OVER, name=next(names)) for _ in range(3)] for _ in range(2))
    judged = regression.judge_runs(baseline, candidate, regression.Options())
    assert judged.exit_code == 0
    written = GATE[form](judged, False, View())
    assert mark(OVER) in written.replace("\\", "")
    assert "9 of 640 images" in written


def test_what_was_within_its_budget_and_is_not_any_more_is_wrong():
    names = iter("abcdef")
    baseline = [run(WITHIN, name=next(names)) for _ in range(3)]
    undecided = [run(UNDECIDED, name=next(names)) for _ in range(3)]
    over = [run(WITHIN, name="g"), run(OVER, name="h")]
    options = regression.Options()
    assert regression.judge_runs(baseline, undecided, options).exit_code == 0
    judged = regression.judge_runs(baseline, over, options)
    assert judged.exit_code == 4
    assert [cell.verdict for cell in judged.cells if cell.column == "ORT (int8)"] == ["wrong"]
