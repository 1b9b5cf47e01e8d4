"""The width and the colour of what commands print, and the formats that all of them offer."""

from __future__ import annotations

import csv
import json
import sys

import pytest

from deploybench import cli
from deploybench.cli import _parsers, _terminal, support
from deploybench.cli._subcommands import subcommands
from deploybench.report.formats import TABLES
from deploybench.runner.support import Finding, Survey
from tests.unit import saved_runs

TABULAR = (
    *("table", "speedup", "costs", "gate", "recommend", "history", "support", "compare-commits"),
    *("models", "backends", "doctor"),
)
VARIABLES = ("COLUMNS", "NO_COLOR", "FORCE_COLOR")


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """Neither a terminal nor a variable."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)


@pytest.mark.parametrize(("columns", "width"), [(None, 100), ("73", 73), ("", 100)])
def test_a_pipe_has_100_columns_or_as_many_as_the_variable_says(monkeypatch, columns, width):
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    assert _terminal.width() == width


@pytest.mark.parametrize(
    ("isatty", "variables", "colour"),
    [
        (False, {}, False),
        (True, {}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {"FORCE_COLOR": "1"}, True),
        (True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
    ],
)
def test_colour_is_for_a_terminal_unless_a_variable_says_otherwise(
    monkeypatch, isatty, variables, colour, tmp_path
):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: isatty, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert _terminal.has_colour() is colour
    assert _terminal.view().colour is colour
    assert not _terminal.view(tmp_path / "a file").colour


@pytest.mark.parametrize("name", TABULAR)
def test_every_command_with_a_table_offers_every_format(name):
    parser = _parsers.subcommand_parser(subcommands()[name])
    (option,) = (each for each in parser._actions if "--format" in each.option_strings)
    assert set(TABLES) <= set(option.choices)


def printed(capsys, *words: str) -> str:
    assert cli.main(words) == 0
    return capsys.readouterr().out


def test_what_there_is_can_be_read_by_programs(capsys):
    models = ("models", "--models=alexnet,vgg11")
    assert json.loads(printed(capsys, *models, "--format=json")) == [
        {"model": "alexnet"},
        {"model": "vgg11"},
    ]
    assert printed(capsys, *models, "--format=csv") == "Model\nalexnet\nvgg11\n"
    words = ("backends", "--backends=eager,traced", "--device=cpu", "--format=json")
    eager, traced = json.loads(printed(capsys, *words))
    assert (eager["backend"], eager["default"], eager["file"]) == ("eager", True, None)
    assert (traced["default"], traced["ready"], traced["reason"]) == (False, True, None)
    findings = json.loads(printed(capsys, "doctor", "--format=json"))
    assert all(each.keys() == {"subject", "verdict", "seen", "remedy"} for each in findings)


def test_a_survey_is_written_in_every_format_as_text_alone(tmp_path):
    hostile = "<script>|\x1b[31m"
    found = Survey({"torch": "2.14.1"}, {})
    found.findings[hostile, "eager"] = Finding("exact")
    found.findings[hostile, "cpp"] = Finding("failed", hostile)
    for form in TABLES:
        path = tmp_path / form
        support.write_page(found, path, form)
        text = path.read_text()
        assert "\x1b" not in text
        assert "<script>" not in text or form in ("text", "csv", "json")
    rows = list(csv.reader((tmp_path / "csv").read_text().splitlines(), delimiter=";"))
    assert rows[1][1:] == ["exact", "failed"]
    assert len(json.loads((tmp_path / "json").read_text())["findings"]) == 2


def test_a_table_of_runs_is_written_into_a_file_in_its_format(tmp_path, capsys):
    run = str(saved_runs.save(tmp_path / "run.json", {("alexnet", "eager"): [0.004] * 70}))
    path = tmp_path / "table.html"
    assert printed(capsys, "table", run, "--format=html", f"-o={path}") == ""
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert printed(capsys, "table", run, "--metric=p90").splitlines()[2].split() == [
        "alexnet",
        "4.00",
    ]
    assert printed(capsys, "table", run, "--metric=p95").splitlines()[2].split() == ["alexnet", "-"]


def test_throughput_has_no_percentiles(tmp_path, capsys):
    cases = {("alexnet", "eager"): [0.004] * 70}
    run = str(saved_runs.save(tmp_path / "run.json", cases, metric="throughput", batch_size=4))
    assert cli.main(["table", run, "--metric=p90"]) == 2
    assert "measured throughput, which has no p90" in capsys.readouterr().err
    (cell,) = json.loads(printed(capsys, "table", run, "--format=json"))
    assert (cell["unit"], cell["percentiles_ms"]) == ("images/s", None)
    assert cell["figure"] == pytest.approx(1000)
