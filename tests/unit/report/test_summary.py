"""The summary in Markdown: short enough for a comment, the verdicts first, the rest folded."""

from __future__ import annotations

import re

import pytest

from deploybench.analysis import overview
from deploybench.cli import main
from deploybench.report import summary
from tests.unit.report.pages import BACKENDS, HOSTILE, run
from tests.unit.saved_runs import save

SLOWER = {**BACKENDS, "fast": ("Fast", 0.7)}
ALL_SLOWER = {name: (title, 2 * factor) for name, (title, factor) in BACKENDS.items()}


def summarised(runs, baseline=()) -> str:
    return summary.render(overview.of(runs, baseline))


@pytest.fixture(scope="module")
def judged() -> str:
    before = [run(name) for name in ("a", "b", "c")]
    return summarised([run(name, backends=SLOWER) for name in ("d", "e", "f")], before)


def test_the_counts_of_verdicts_come_first_and_then_what_changed(judged):
    assert judged.startswith("**8 cells: 2 slower, 1 wrong, 1 failed, ")
    changed, _, folded = judged.partition("<details>")
    assert re.findall(r"^\| (net\d+) \| Fast \|.* slower \|", changed, re.M) == ["net00", "net01"]
    assert "inconclusive |" not in changed
    assert " slower |" not in folded


def test_all_figures_are_there_but_folded(judged):
    folded = judged.partition("Median latency in milliseconds</summary>")[2]
    assert re.search(r"^\| net00 \| 10\.0 \|", folded, re.M)
    assert folded.count("|\n") >= 4


def test_without_a_baseline_it_begins_with_what_to_ship():
    assert summarised([run("a")]).startswith("**Ship Fast.** It is right for all 2 models")


def test_it_fits_into_a_comment_and_says_how_many_rows_do_not():
    many = {f"b{n}": (f"A backend with quite a long title, number {n}", 1.0) for n in range(15)}
    backends = {"eager": ("PyTorch", 1.0), **many}
    slower = {name: (title, 2 * factor) for name, (title, factor) in backends.items()}
    before = [run(name, models=31, samples=10, backends=backends) for name in ("a", "b")]
    after = [run(name, models=31, samples=10, backends=slower) for name in ("c", "d")]
    found = summarised(after, before)
    assert 40_000 < len(found.encode()) <= summary.LIMIT
    left_out = [int(n) for n in re.findall(r"^(\d+) more rows are only in the page", found, re.M)]
    shown = len(re.findall(r"^\| net\d+ \| .* \| (?:slower|inconclusive) \|", found, re.M))
    assert left_out[-1] == 31  # of the latencies
    assert shown + sum(left_out[:-1]) == 31 * 16
    tables = ["x" * 20_000, "y" * 20_000, "z" * 5_000]
    found = summary.render(overview.of(after, before), tables)
    assert len(found.encode()) <= summary.LIMIT
    assert [letter * 5_000 in found for letter in "xyz"] == [True, False, True]
    assert found.endswith("1 further tables are too long to be shown here; the page has them.\n")


def test_hostile_names_are_text():
    found = summarised([run("a", hostile=True)])
    assert "<script>" not in found
    assert "</style>" not in found
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u2028\u202e\ud800-\udfff]", found)
    header = re.search(r"^\| Model .*\|$", found, re.M)
    assert header
    columns = header[0].count("|")
    rows = re.findall(r"^\| (?!Model|---).*\|$", found, re.M)
    assert rows
    assert all(len(re.findall(r"(?<!\\)\|", row)) == columns for row in rows)
    assert HOSTILE not in found


def test_the_command_writes_it(tmp_path, capsys):
    cases = {("resnet18", "eager"): [0.02] * 20, ("resnet18", "scripted"): [0.01] * 20}
    saved = save(tmp_path / "run.json", cases)
    assert main(["report", str(saved), "--format", "markdown"]) == 0
    printed = capsys.readouterr().out
    assert "<details><summary>Median latency in milliseconds</summary>" in printed
    assert "| resnet18 | 20.0 | 10.0 |" in printed
