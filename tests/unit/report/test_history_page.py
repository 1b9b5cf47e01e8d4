"""The history on a page: small multiples, the first slow commit, and a table under every plot."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from deploybench import cli
from deploybench.analysis.interval import Effect
from deploybench.analysis.trends import RATIO, Break, Step, Trend
from deploybench.records.history import Cell, Point, Run
from deploybench.records.reduced import NOT_JUDGED, OVER, WITHIN
from deploybench.report import history_page, summary
from deploybench.report.formats import HISTORY
from deploybench.report.tables import View
from tests.unit import recorded_history as recorded
from tests.unit.report.pages import HOSTILE

CPP = "TorchScript (C++)"


def trend(model: str = "net", title: str = CPP, runs: int = 60, slower_at: int = 0) -> Trend:
    """A cell, which became 10 % slower at a run if one is given."""
    points = tuple(
        Point(
            Run(
                f"m/{number:04}_run.json",
                86400.0 * number,
                "0.3.0",
                f"{number:04x}".ljust(40, "c"),
                None,
                None,
                False,
            ),
            '{"torch": "2.14.1"}',
            (10.0 + number % 3 / 10) * (1.1 if slower_at and number >= slower_at else 1.0),
            9.0,
            12.0,
            0.5,
            20,
            number == 3,
        )
        for number in range(runs)
    )
    effect = Effect(0.095, 0.08, 0.11, 0.01, (slower_at, runs - slower_at))
    step = Step(RATIO, slower_at, slower_at, slower_at, slower_at - 1, effect, 0.001)
    breaks = (Break(5, (f"torch: {HOSTILE}",)),) if runs > 5 else ()
    cell = Cell(model, None, "cpp", title, 20, ())
    return Trend(cell, "", points, breaks, (step,) if slower_at else ())


def unproven(status: str) -> Trend:
    """A cell of reduced precision whose last run, a process of the last commit, has that status."""
    found = trend(runs=9, slower_at=6)
    proven = [replace(point, status=WITHIN) for point in found.points]
    return replace(found, points=(*proven[:-1], replace(proven[-1], status=status)))


class Page(HTMLParser):
    """Counts the tags of a page, and keeps its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        assert not any(name.startswith("on") or name == "style" for name, _ in attributes)

    def handle_data(self, data):
        self.text += data


def test_the_first_slow_commit_is_named_before_all_others():
    page = Page(history_page.render([trend(), trend("b", slower_at=40), trend("a", slower_at=20)]))
    assert f"Slower since commit {20:04x}cccccccc" in page.text
    assert "In all, 2 cells became slower." in page.text
    assert "Nothing became slower" in Page(history_page.render([trend()])).text


def test_every_plot_has_its_change_its_break_and_a_table():
    text = history_page.render([trend(slower_at=20), trend("other")])
    page = Page(text)
    assert page.tags.count("figure") == page.tags.count("svg") == 2
    assert page.tags.count("figcaption") == 2
    assert text.count('class="step slow"') - 1 == 1  # one of them in the legend
    assert text.count('class="break"') == 4
    assert page.tags.count("table") == 2 + 1


@pytest.mark.parametrize("form", HISTORY)
def test_a_figure_that_is_not_proven_is_marked_in_every_format(form):
    written = HISTORY[form]([unproven(NOT_JUDGED), trend("other")], View())
    plain = form in ("csv", "json")
    mark = NOT_JUDGED if plain else "[NOT JUDGED]"
    assert mark in written.replace("\\", "")
    assert mark not in HISTORY[form]([unproven(WITHIN), trend("other")], View())


def test_a_page_marks_it_at_the_plot_in_both_tables_and_in_the_headline():
    text = history_page.render([unproven(OVER)])
    figure = text[text.index("<figure") : text.index("</figure>")]
    assert "[OVER BUDGET]" in figure[: figure.index("</figcaption>")]
    assert 'aria-label="net, TorchScript (C++) [OVER BUDGET]: 9 runs"' in figure
    assert len(re.findall(r"<td>[\d.]+ \[OVER BUDGET\]", figure)) == 2, (
        "the latency and the ratio of the last run"
    )
    assert "[OVER BUDGET], slower" in text[: text.index("<figure")]
    whole = text[text.index("Table of all cells") :]
    assert len(re.findall(r"<td class=\"n\">[\d.]+ \[OVER BUDGET\]", whole)) == 2
    assert "not shown to be as good as eager" in text
    assert "OVER BUDGET" not in history_page.render([unproven(WITHIN)])


def test_hostile_names_are_text():
    text = history_page.render([trend(HOSTILE, HOSTILE, slower_at=20)])
    page = Page(text)
    assert not {"script", "link", "img"} & set(page.tags)
    assert "<script>alert(1)</script>" in page.text
    assert "\u202e" not in text
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_all_cells_of_a_large_history_are_less_than_a_megabyte_in_a_few_seconds():
    many = [trend(f"model_{number // 16:02}", f"{CPP} {number % 16}") for number in range(31 * 16)]
    began = time.process_time()
    text = history_page.render(many)
    assert time.process_time() - began < 5
    assert len(text.encode()) < 1_000_000
    assert text.count("<figure") == history_page.MOST_PLOTS
    assert "150 of 496 cells are drawn" in text


@pytest.mark.parametrize("limit", [summary.LIMIT, summary.LIMIT // 2])
def test_its_markdown_fits_into_a_comment_with_the_changes_first(limit):
    same = [trend(f"a model with quite a long name, number {n}") for n in range(1500)]
    changed = [trend(f"slow{n}", slower_at=20) for n in range(40)]
    found = summary.of_history([*same, *changed], limit)
    assert 0.9 * limit < len(found.encode()) <= limit
    rows = re.findall(r"^\| (slow|a model)", found, re.M)
    lines = re.findall(r"^- slow\d+, ", found, re.M)
    assert rows == ["slow"] * 40 + ["a model"] * (len(rows) - 40)
    assert len(lines) == 40
    left_out = re.search(r"^(\d+) more rows and lines are only in the page\.$", found, re.M)
    assert left_out and int(left_out[1]) == 1540 - len(rows)
    assert "only in the page" not in summary.of_history(changed, limit)
    many = [trend(f"slow{n}", slower_at=20) for n in range(1500)]
    assert len(summary.of_history(many, limit).encode()) <= limit


def test_one_cell_with_ten_thousand_runs_is_thinned():
    text = history_page.render([trend(runs=10_000, slower_at=5_000)])
    assert len(text.encode()) < 1_000_000
    assert f"{5_000:04}_run" in text
    assert "runs: the last ones, and those at a change" in text


def test_a_cell_of_a_single_run_is_a_dot():
    text = history_page.render([trend(runs=1)])
    assert re.findall(r'class="runs"', text) == ['class="runs"'] * 2
    assert re.findall(r'd="(M[^"]*h0)"', text)[0].count("M") == 1


@pytest.fixture
def storage(tmp_path) -> str:
    eager = [20 * each for each in recorded.noise(40, 1)]
    cpp = [10 * each * (1.1 if k >= 20 else 1) for k, each in enumerate(recorded.noise(40, 2))]
    recorded.save_all(tmp_path / "runs", eager, cpp)
    return str(tmp_path / "runs")


def test_the_command_writes_it_alone_and_below_a_report(storage, tmp_path, capsys):
    alone, both = tmp_path / "alone.html", tmp_path / "both.html"
    words = ["report", "--history", "--storage", storage]
    assert cli.main([*words, "-o", str(alone)]) == 0
    text = Page(alone.read_text()).text
    assert f"Slower since commit {recorded.commit(21)[:12]}" in text.replace("\n", " ")
    assert cli.main([*words, "latest", "-o", str(both)]) == 0
    page = both.read_text()
    assert 'id="answer"' in page
    assert 'id="history"' in page
    assert cli.main([*words, "--format", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("**History**\n\n| Model | Backend |")


def test_a_report_of_nothing_is_refused_in_one_line(storage, capsys):
    assert cli.main(["report", "--storage", storage]) == 2
    assert "give the runs to report, such as latest, or --history" in capsys.readouterr().err
    assert cli.main(["report", "--history", "--baseline", "x", "--storage", storage]) == 2
    assert "--baseline judges runs" in capsys.readouterr().err
