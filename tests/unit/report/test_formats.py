"""Every format of a table holds all of it, and escapes what a run says."""

from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from deploybench.analysis.percentiles import Percentiles
from deploybench.analysis.regression import Cell, Report
from deploybench.report import of_runs, recommended
from deploybench.report.formats import GATE, TABLES
from deploybench.report.tables import Section, Table, View
from tests.unit.report import pages

HOSTILE = "=1+1<script>alert(1)</script>|`x`\x1b[31m\u202e\n\"'&;"
TABLE = Table.of(
    [["Model", "PyTorch", "Note"], [HOSTILE, "4.00*", HOSTILE], ["net", "-", "-"]],
    words=frozenset({"Note"}),
    title=HOSTILE,
    before=(HOSTILE,),
    notes=(HOSTILE,),
    sections=(Section(HOSTILE, (HOSTILE,)),),
    data=[{"model": HOSTILE, "ms": 4.0}],
)
RUNS = [pages.run("one", samples=100), pages.run("two", samples=100)]


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append(tag)
        assert not any(name.startswith("on") or name == "style" for name, _ in attributes)


@pytest.mark.parametrize("form", TABLES)
def test_no_format_gives_control_characters_away(form):
    text = TABLES[form](TABLE, View(colour=True))
    assert "\x1b[31m\u202e" not in text
    assert all(each.isprintable() or each == "\n" for each in re.sub(r"\x1b\[\d+m", "", text))


def test_html_is_a_page_without_scripts_requests_or_markup_of_a_run():
    page = TABLES["html"](TABLE, View())
    tags = Tags(page).found
    assert "script" not in tags
    assert "link" not in tags
    assert "&lt;script&gt;" in page
    assert "default-src 'none'; style-src 'sha256-" in html.unescape(page)
    assert "script-src" not in page
    assert tags.count("tr") == 3


def test_markdown_is_one_table_and_obeys_no_html():
    text = TABLES["markdown"](TABLE, View())
    assert "<script>" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert [row.replace(r"\|", "").count("|") for row in rows] == [4] * 4
    assert rows[1] == "| --- | ---: | --- |"


def test_csv_is_no_formula_and_has_one_field_for_each_cell():
    header, first, _ = TABLES["csv"](TABLE, View()).splitlines()
    assert header == "Model;PyTorch;Note"
    assert first.startswith("'=1+1<script>")
    assert first.count(";") == 2


def test_json_is_the_data():
    assert json.loads(TABLES["json"](TABLE, View())) == TABLE.data


@pytest.mark.parametrize(
    "table_of",
    [
        of_runs.latencies,
        of_runs.all_percentiles,
        of_runs.floors,
        of_runs.speedups,
        of_runs.all_costs,
        recommended.table,
        lambda runs: of_runs.by_metric(runs, "p90"),
    ],
)
def test_every_table_of_runs_can_be_written_in_every_format_and_fits(table_of):
    table = table_of([pages.run("one", hostile=True), pages.run("two", hostile=True)])
    for form, write in TABLES.items():
        text = write(table, View(80))
        assert "<script>alert" not in text or form in ("csv", "json", "text")
    assert max(map(len, TABLES["text"](table, View(80)).splitlines())) <= 80
    assert json.loads(TABLES["json"](table, View()))


def test_a_percentile_is_shown_from_the_least_number_of_calls_on():
    few, enough = ([pages.run("one", samples=count)] for count in (60, 65))
    assert {row[1] for row in of_runs.by_metric(few, "p90").rows} == {"-"}
    assert "-" not in {row[1] for row in of_runs.by_metric(enough, "p90").rows}
    (first, *_) = of_runs.latencies(enough).data
    assert first["percentiles_ms"]["p90"] > first["percentiles_ms"]["p50"]
    assert first["percentiles_ms"]["p95"] is None


def test_the_calls_of_all_runs_count_together():
    row = of_runs.all_percentiles(RUNS).rows[0]
    assert row[2] == "200"
    assert "-" not in row[3:6]
    assert row[6] == "-"


def test_a_record_gives_its_percentiles_typed():
    (case, *_) = RUNS[0].cases
    known = Percentiles.of(case.samples_ms)
    assert known.p50 == pytest.approx(case.latency_ms)
    assert known.p50 < known.p90
    assert (known.p95, known.p99) == (None, None)


def test_the_gate_lists_its_notes_below_and_keeps_its_own_formats():
    report = Report((Cell("net", "PyTorch", "slower", 10.0, 12.0, note="why " * 50),))
    text = GATE["text"](report, False, View())
    assert max(map(len, text.splitlines())) <= 100
    assert "[1] why" in text
    assert text.endswith("\n1 cells: 1 slower\n")
    assert GATE["csv"](report, False, View()).startswith("Model;Backend;Baseline")
    assert set(GATE) == {*TABLES, "junit"}


def test_one_place_registers_the_formats():
    """What takes --format takes its choices from there."""
    folder = Path(of_runs.__file__).parents[1] / "cli"
    named = [path.name for path in folder.glob("*.py") if 'choices=("' in path.read_text()]
    assert named == []
