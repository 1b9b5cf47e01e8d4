"""The end of a run fits the terminal: reasons, notices and the table of pytest-benchmark."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from deploybench.plugin import ending
from deploybench.plugin.folding import width_of
from tests.unit.plugin import ROOT, clean_environment

ALL = ["min", "max", "mean", "stddev", "median", "iqr", "outliers", "ops", "rounds", "iterations"]


def session(name: str, columns=ALL) -> SimpleNamespace:
    return SimpleNamespace(
        columns=columns, groups=[("net", [{"name": name}])], name_format=lambda bench: bench["name"]
    )


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (250, ALL),
        (100, ["median", "iqr", "rounds"]),
        (70, ["median"]),
        (20, ["median"]),
    ],
)
def test_the_columns_that_are_needed_most_are_printed(width, expected):
    assert ending.fitting(session("test_latency[squeezenet1_1-scripted]"), width) == expected


def test_only_columns_that_there_are_are_printed():
    assert ending.fitting(session("t", ["max", "min"]), 250) == ["max", "min"]
    assert ending.fitting(SimpleNamespace(columns=ALL, groups=None, name_format=str), 250) == ALL


def test_a_reason_is_folded_and_the_command_that_repeats_it_is_not():
    command = f"again: python -m pytest {'x ' * 80}".strip()
    entry = SimpleNamespace(style="value", lines=["why " * 60, command])
    trace = SimpleNamespace(style="long", lines=["why " * 60])
    report = SimpleNamespace(
        longrepr=SimpleNamespace(reprtraceback=SimpleNamespace(reprentries=[entry, trace]))
    )
    ending.fold_reason(report, 100)
    *reason, last = entry.lines
    assert len(reason) > 1
    assert max(map(len, reason)) <= 100
    assert last == command
    assert trace.lines == ["why " * 60]
    ending.fold_reason(SimpleNamespace(longrepr="a text"), 100)


def test_a_legend_is_folded_and_a_row_of_a_table_is_not():
    written: list[str] = []
    reporter = SimpleNamespace(isatty=False, write_line=lambda line, **_: written.append(line))
    folding = ending.Folding(reporter)
    folding.write_line("  Outliers: " + "of many words " * 20)
    folding.write_line("row " * 50)
    assert max(map(len, written[0].splitlines())) <= 100
    assert written[1] == "row " * 50


def test_the_width_is_that_of_columns_or_of_the_terminal(monkeypatch):
    reporter = SimpleNamespace(isatty=False, _tw=SimpleNamespace(fullwidth=73))
    assert width_of(reporter) == 100
    monkeypatch.setenv("COLUMNS", "73")
    assert width_of(reporter) == 73


NETS = """
from torch import nn

def a_net_with_a_name_that_is_long():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))

class Bad(nn.Module):
    def forward(self, x):
        raise RuntimeError("a reason of many words " * 12)
"""


@pytest.mark.slow
def test_all_that_a_run_prints_below_pytests_own_heading_fits_100_columns(tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    models = f"{tmp_path}/nets.py:a_net_with_a_name_that_is_long,{tmp_path}/nets.py:Bad"
    environment = clean_environment()
    del environment["COLUMNS"]
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "tests/perf", f"--models={models}"),
            *("--input=3x16x16", "--task=embedding", "--backends=eager,scripted,cudagraph"),
            *("--benchmark-max-time=0", "--no-header", "-p", "no:cacheprovider"),
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "notices" in ran.stdout
    assert "Median" in ran.stdout
    assert "cases done, " in ran.stdout
    lines = [line for line in ran.stdout.splitlines() if "again: " not in line]
    assert [line for line in lines if len(line) > 100] == []
