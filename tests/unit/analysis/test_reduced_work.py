"""Where int8 is slower than float32 is found, with how much of the model ran in int8."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deploybench.analysis import costs, overview
from deploybench.analysis.reduced_work import slower_than_float32
from deploybench.records.record import CaseRecord, RunRecord
from deploybench.records.reduced import NOT_JUDGED, Reduced
from deploybench.report import of_runs, page, sentences, summary
from deploybench.report.formats import TABLES
from deploybench.report.tables import View

INT8 = Reduced(
    *("int8", NOT_JUDGED, "not judged: random weights", "agreement>=0.99"),
    layers=54,
    reduced_layers=50,
    time_share=0.484,
    cpu_units="avx512_vnni",
)
REASON = "1.36 times as long in int8 as in float32: 50 of 54 layers in int8, 48% of the time"


def case(backend: str, milliseconds: float, spread: float = 0.001, **more) -> CaseRecord:
    samples = tuple(1e-3 * milliseconds * (1 + spread * (call % 3)) for call in range(15))
    int8 = INT8 if "int8" in backend else None
    made = CaseRecord(
        *("net", backend, backend.upper(), len(backend), samples), turns=(3,) * 5, reduced=int8
    )
    return replace(made, **more)


def run(*cases: CaseRecord) -> RunRecord:
    eager = case("eager", 10)
    return RunRecord(Path("run.json"), {"cpu": "some"}, (eager, *cases), identity="1")


FLOAT32 = case("ort-cpp", 1.0)
SLOW = run(FLOAT32, case("ort-int8-cpp", 1.36), case("ov", 1.0), case("ov-int8", 0.4))


def test_only_what_is_slower_than_its_own_float32_is_found_with_its_reason():
    (found,) = slower_than_float32([SLOW])
    assert (found.model, found.column, found.reason) == ("net", "ORT-INT8-CPP", REASON)
    unknown = case("ort-int8-cpp", 1.36, reduced=replace(INT8, layers=None))
    (found,) = slower_than_float32([run(FLOAT32, unknown)])
    assert found.reason == "1.36 times as long in int8 as in float32"


@pytest.mark.parametrize(
    "cases",
    [
        (case("ort-int8-cpp", 1.36),),  # nothing to compare it with
        (case("ort", 1.0), case("ort-int8-cpp", 1.36)),  # another backend
        (FLOAT32, case("ort-int8-cpp", 0.7)),
        (FLOAT32, case("ort-int8-cpp", 1.0)),
        (FLOAT32, case("ort-int8-cpp", 1.36, disturbed=("other processes",))),
    ],
    ids=["alone", "another", "faster", "even", "disturbed"],
)
def test_nothing_is_claimed_without_a_significant_undisturbed_pair(cases):
    assert slower_than_float32([run(*cases)]) == []


@pytest.mark.parametrize("table_of", [of_runs.all_costs, of_runs.speedups])
@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_costs_and_speedups_list_it(table_of, form):
    written = " ".join(TABLES[form](table_of([SLOW]), View(width=400)).split())
    assert REASON in written
    other = TABLES[form](table_of([run(FLOAT32, case("ort-int8-cpp", 0.4))]), View())
    assert "slower in reduced precision" not in other.lower()


def test_the_share_that_ran_in_int8_stands_beside_each_figure_of_the_costs():
    header, *rows = costs.to_rows([SLOW])
    assert header[-1] == "Reduced precision (layers, time)"
    shown = {row[1]: row[-1] for row in rows}
    assert shown == {"EAGER": "-", "OV": "-", **dict.fromkeys(("ORT-CPP",), "-")} | dict.fromkeys(
        ("ORT-INT8-CPP", "OV-INT8"), "50 of 54, 48%"
    )
    assert costs.to_rows([run(FLOAT32)])[0][-1] == "Break-even"
    data = {each["column"]: each for each in of_runs.all_costs([SLOW]).data}
    assert data["OV-INT8"]["cpu_units"] == "avx512_vnni"
    assert "time_share" not in data["OV"]


def test_the_report_lists_it_with_what_was_wrong():
    found = overview.of([SLOW])
    (slower,) = (each for each in sentences.troubles(found) if each.kind == sentences.SLOWER)
    assert (slower.columns, slower.models, slower.reason) == (("ORT-INT8-CPP",), ("net",), REASON)
    assert REASON in page.render(found)
    assert REASON in summary.render(found)
