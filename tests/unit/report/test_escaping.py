"""Each writer escapes what a run says, for its own format."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from deploybench.analysis.regression import Cell, Report
from deploybench.errors import FileError
from deploybench.report import article_csv, junit, markdown
from deploybench.report.formats import GATE
from deploybench.report.tables import View

REASON = "first\nsecond\t\x1b[31mred\u202e | `x` <b>&\ufffe\x00"
FAILED = Report((Cell("resnet18", "PyTorch", "failed", note=REASON),), ("cpu: 'a`b' -> '\x1b'",))


def test_a_text_table_shows_control_characters_instead_of_obeying_them():
    shown = GATE["text"](FAILED, False, View())
    assert r"first\nsecond\t\x1b[31mred\u202e | `x` <b>&\ufffe\x00" in shown
    assert all(each.isprintable() or each == "\n" for each in shown)
    assert max(map(len, shown.splitlines())) <= 100


def test_markdown_keeps_its_cells_and_obeys_no_html():
    lines = markdown.gate_report(FAILED).splitlines()
    assert lines[2] == r"Not comparable, since these differ: ``cpu: 'a`b' -> '\x1b'``"
    row = lines[-1]
    assert row.endswith(r"\\x1b\[31mred\\u202e \| \`x\` &lt;b&gt;&amp;\\ufffe\\x00 |")
    assert row.replace(r"\|", "").count("|") == 8


def test_markdown_leaves_ordinary_names_as_they_are():
    cell = Cell("shufflenet_v2_x0_5", "TorchScript (C++)", "new")
    row = markdown.gate_report(Report((cell,))).splitlines()[-1]
    assert row == "| shufflenet_v2_x0_5 | TorchScript (C++) | - | - | - | new | - |"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("_hidden_", r"\_hidden\_"),
        ("__init__", r"\_\_init\_\_"),
        ("a _b_ c", r"a \_b\_ c"),
        ("snake_case_net", "snake_case_net"),
        ("@somebody", "&#64;somebody"),
        ("net@v2", "net&#64;v2"),
    ],
)
def test_markdown_shows_each_character_and_calls_nobody(name, shown):
    row = markdown.gate_report(Report((Cell(name, "PyTorch", "new"),))).splitlines()[-1]
    assert row.startswith(f"| {shown} |")


def test_junit_is_xml_whatever_a_reason_says():
    (suite,) = ElementTree.fromstring(junit.gate_report(FAILED).encode())
    assert suite.find("testcase/failure").get("message").startswith("failed first second")


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", '"=1"', "\uff1d1"])
def test_a_spreadsheet_follows_no_formula_in_a_csv(name):
    assert article_csv.to_csv([["Model", name], [name, "-"]]) == f"Model;'{name}\n'{name};-\n"


def test_a_csv_has_one_field_for_each_cell():
    assert article_csv.to_csv([["a\nb", "c;d\x1b"]]) == "a\\nb;c\\u003bd\\x1b\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("Model;A\nx;nan\n", "line 2: 'nan' is not a figure"),
        ("Model;A\nx;-1.5\n", "line 2: '-1.5' is not a figure"),
        ("Model;A\nx;0.59 (s)NaN\n", r"line 2: '0.59 \(s\)NaN' is not a figure"),
        ("Model;A\nx;1e999\n", "line 2: '1e999' is not a figure"),
        ("Model;A\nx;1.00 [0.50, inf]* ~\n", r"line 2: '1.00 \[0.50, inf\]\* ~' is not a figure"),
        ("<html>;A\nx;1\n", "is not a CSV of merge_perf"),
    ],
)
def test_a_table_of_what_are_no_figures_is_refused(content, words):
    with pytest.raises(FileError, match=words):
        article_csv.parse_csv(content, "perf.csv")
