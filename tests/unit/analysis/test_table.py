"""Merging runs into one table, and its layout as text."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from deploybench.analysis import labels, table
from deploybench.errors import FileError
from deploybench.records import reading
from deploybench.records.record import CaseRecord, RunRecord
from deploybench.report import article_csv, text

from ..saved_runs import COLUMNS, save

DATA = Path(__file__).parents[1] / "data"
LOGS = [DATA / name for name in ("article_torch.log", "article_ts_py.log", "article_ts.log")]


def merged(*paths: Path) -> str:
    return article_csv.to_csv(table.to_rows(table.merge([reading.read(path) for path in paths])))


def write_log(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_tidy_has_a_row_for_each_run_and_case(tmp_path):
    """The basis of a verdict: one row per process, with the condition that decides pooling."""
    cases = {("alexnet", "eager"): [0.001, 0.003, 0.002], ("alexnet", "cpp"): [0.004]}
    runs = [
        reading.read(save(tmp_path / str(number), cases, threads=threads))
        for number, threads in enumerate([1, 2, 1])
    ]
    rows = table.tidy(runs)
    assert list(rows["run"]) == [0, 0, 1, 1, 2, 2]
    assert list(rows["backend"]) == ["eager", "cpp"] * 3
    assert list(rows["milliseconds"]) == pytest.approx([2.0, 4.0] * 3)
    assert list(rows["calls"]) == [3, 1] * 3
    first, second, third = rows["condition"][::2]
    assert first == third != second


def test_columns_of_logs_come_in_the_order_of_the_logs():
    header = merged(*reversed(LOGS)).splitlines()[0]
    assert header == "Model;TorchScript (C++);TorchScript (Python);PyTorch"


def test_the_last_of_several_logs_counts(tmp_path):
    one = write_log(tmp_path / "one.log", "#head;PyTorch", "#alexnet;3", "#vgg11;4")
    two = write_log(tmp_path / "two.log", "#head;PyTorch", "#alexnet;9")
    assert merged(one, two) == "Model;PyTorch\nalexnet;9.00\nvgg11;4.00\n"


def test_runs_that_hold_only_some_models_or_backends_merge(tmp_path):
    cpp = save(tmp_path / "1", {("vgg11", "cpp"): [0.004], ("alexnet", "cpp"): [0.002]})
    eager = save(tmp_path / "2", {("alexnet", "eager"): [0.0031], ("resnet18", "eager"): [0.005]})
    assert merged(cpp, eager) == (
        "Model;PyTorch;TorchScript (C++)\nalexnet;3.10;2.00\nresnet18;5.00;-\nvgg11;-;4.00\n"
    )


def test_what_takes_microseconds_is_shown_with_more_decimals(tmp_path):
    run = reading.read(save(tmp_path / "1", {("alexnet", "eager"): [0.0002537]}))
    assert table.to_rows(table.merge([run]), decimals=3)[1] == ["alexnet", "0.254"]


def test_columns_of_the_same_order_come_by_title(tmp_path, monkeypatch):
    monkeypatch.setitem(COLUMNS, "later", ("Zeta", 10))
    monkeypatch.setitem(COLUMNS, "sooner", ("Alpha", 10))
    backends = ["cpp", "later", "sooner", "eager"]
    run = save(tmp_path / "1", {("alexnet", backend): [0.001] for backend in backends})
    assert merged(run).splitlines()[0] == "Model;PyTorch;Alpha;Zeta;TorchScript (C++)"


def test_the_process_is_the_unit_that_repeats(tmp_path):
    """The median of the runs' medians, not of all their calls."""
    paths = [
        save(tmp_path / str(number), {("alexnet", "eager"): seconds})
        for number, seconds in enumerate([[0.001] * 9, [0.002], [0.009]])
    ]
    assert merged(*paths) == "Model;PyTorch\nalexnet;2.00\n"


def test_runs_that_differ_are_never_pooled(tmp_path):
    one = save(tmp_path / "1", {("alexnet", "eager"): [0.002]}, threads=1)
    two = save(tmp_path / "2", {("alexnet", "eager"): [0.001], ("alexnet", "cpp"): [0.003]})
    assert merged(one, two) == (
        "Model;PyTorch [threads=1];PyTorch [threads=2];TorchScript (C++) [threads=2]\n"
        "alexnet;2.00;1.00;3.00\n"
    )


def test_runs_alike_are_pooled_beside_one_that_differs_in_two_things(tmp_path):
    paths = [
        save(tmp_path / str(number), {("alexnet", "eager"): [seconds]}, **fingerprint)
        for number, (seconds, fingerprint) in enumerate(
            [(0.002, {}), (0.009, {"threads": 8, "gpu": "H100"}), (0.004, {})]
        )
    ]
    assert merged(*paths) == (
        "Model;PyTorch [gpu=none, threads=2];PyTorch [gpu=H100, threads=8]\nalexnet;3.00;9.00\n"
    )


VALUES = st.none() | st.booleans() | st.sampled_from([1, 1.0, "1", "none", "", "a;b", "a\nb", '"'])
PRINTS = st.dictionaries(st.sampled_from(["threads", "g;pu"]), VALUES)


@hypothesis.given(fingerprints=st.lists(PRINTS, min_size=1, max_size=4))
def test_each_fingerprint_has_a_column_of_its_own_and_none_breaks_the_csv(fingerprints):
    """In Python 1 == True == 1.0, a name that is missing reads as None, and "1" prints as 1."""
    case = CaseRecord("alexnet", "eager", "PyTorch", 0, (0.001,))
    runs = [RunRecord(Path("run"), fingerprint, (case,)) for fingerprint in fingerprints]
    rows = article_csv.parse_csv(
        article_csv.to_csv(table.to_rows(table.merge(runs))), "the merged table"
    )
    titles = rows[0][1:]
    assert len(titles) == len(set(titles)) == len({run.condition for run in runs})
    assert rows[1] == ["alexnet", *["1.00"] * len(titles)]


def test_a_log_shares_the_column_of_its_title(tmp_path):
    run = save(tmp_path / "1", {("alexnet", "eager"): [0.002], ("alexnet", "cpp"): [0.001]})
    log = write_log(tmp_path / "bench_torch.log", "#head;PyTorch", "#vgg11;7")
    assert merged(log, run) == "Model;PyTorch;TorchScript (C++)\nalexnet;2.00;1.00\nvgg11;7.00;-\n"


def test_a_log_that_gives_a_runs_cell_has_a_column_of_its_own(tmp_path):
    run = save(tmp_path / "1", {("alexnet", "eager"): [0.002]})
    log = write_log(tmp_path / "bench_torch.log", "#head;PyTorch", "#alexnet;7", "#vgg11;8")
    assert merged(log, run) == (
        "Model;PyTorch;PyTorch [bench_torch.log]\nalexnet;2.00;7.00\nvgg11;-;8.00\n"
    )


def test_a_title_with_quotes_is_not_changed(tmp_path):
    log = write_log(tmp_path / "bench.log", '#head;PyTorch "fast"', "#alexnet;7")
    assert merged(log) == 'Model;PyTorch "fast"\nalexnet;7.00\n'


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "it has no header"),
        ("Model\nalexnet\n", "it has no header"),
        ("Model;A\nalexnet\n", "perf, line 2: 1 field"),
        ("Model;A\nx;1\ny;1;2\n", "perf, line 3: 3 fields where the header has 2"),
        ("Model;A\nx;1\n\n", "perf, line 3: 1 field"),
    ],
)
def test_text_that_is_not_a_table_is_refused(given, words):
    with pytest.raises(FileError) as caught:
        article_csv.parse_csv(given, "perf")
    assert words in str(caught.value)


def test_values_stand_together_below_a_centred_title():
    """By hand, with odd spaces on either side: 12 - 5 below the title, 12 - 9 for the values."""
    rows = [["Model", "Eager"], ["a", "1.00"], ["b", "123456.00"]]
    assert text.layout(rows) == (
        "Model" + " " * 7 + " " * 4 + "    Eager   " + "\n"
        "----------------------------\n"
        "a" + " " * 11 + " " * 4 + "       1.00 " + "\n"
        "b" + " " * 11 + " " * 4 + "  123456.00 " + "\n"
    )


def test_a_header_alone_is_a_table():
    assert text.layout([["Model", "A"]]) == f"Model{' ' * 17}A{' ' * 5}\n{'-' * 28}\n"


FIELDS = st.text("abc1.-", max_size=20)
ROWS = st.integers(2, 5).flatmap(
    lambda columns: st.lists(
        st.lists(FIELDS, min_size=columns, max_size=columns), min_size=1, max_size=6
    )
)


@hypothesis.given(ROWS)
def test_every_line_of_a_table_is_as_wide_as_its_rule(rows):
    header, rule, *body = text.layout(rows).splitlines()
    assert set(rule) == {"-"}
    assert {len(line) for line in (header, *body)} == {len(rule)}
    for row, line in zip(rows, (header, *body), strict=True):
        assert line.split() == [field for field in row if field]


def test_a_throughput_is_named_even_where_nothing_differs():
    # More of it is better, and a bare column would be read as milliseconds.
    runs = [RunRecord(Path("run"), {"metric": metric}, ()) for metric in ("throughput", "latency")]
    assert list(labels.labels(runs[:1]).values()) == [" [metric=throughput]"]
    assert list(labels.labels(runs[1:]).values()) == [""]
