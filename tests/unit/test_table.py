"""Merging runs, and the article's table to the byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploybench import results, table
from deploybench.errors import FileError

from .saved_runs import save

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(__file__).parent / "data"
LOGS = [DATA / name for name in ("article_torch.log", "article_ts_py.log", "article_ts.log")]


def tool(name: str, *arguments) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, str(ROOT / "tools" / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, timeout=60)


def merged(*paths: Path) -> str:
    return table.to_csv(table.merge([results.read(path) for path in paths]))


def test_the_articles_logs_become_the_articles_csv_to_the_byte():
    assert tool("merge_perf.py", *LOGS).stdout == (DATA / "article_perf.csv").read_bytes()


def test_the_articles_csv_becomes_the_articles_table_to_the_byte():
    ran = tool("tab_perf.py", DATA / "article_perf.csv")
    assert ran.stdout == (DATA / "article_perf.txt").read_bytes()


def test_columns_of_logs_come_in_the_order_of_the_logs():
    header = merged(*reversed(LOGS)).splitlines()[0]
    assert header == "Model;TorchScript (C++);TorchScript (Python);PyTorch"


def test_the_last_of_several_logs_holds(tmp_path):
    for name, figure in (("one.log", "3"), ("two.log", "9")):
        (tmp_path / name).write_text(f"#head;PyTorch\n#alexnet;{figure}\n")
    assert merged(tmp_path / "one.log", tmp_path / "two.log") == "Model;PyTorch\nalexnet;9.00\n"


def test_runs_that_hold_only_some_models_or_backends_merge(tmp_path):
    cpp = save(tmp_path / "1", {("vgg11", "cpp"): [0.004], ("alexnet", "cpp"): [0.002]})
    eager = save(tmp_path / "2", {("alexnet", "eager"): [0.0031], ("resnet18", "eager"): [0.005]})
    assert merged(cpp, eager) == (
        "Model;PyTorch;TorchScript (C++)\nalexnet;3.10;2.00\nresnet18;5.00;-\nvgg11;-;4.00\n"
    )


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


def test_a_log_beside_a_run_of_the_same_column_is_told_apart(tmp_path):
    run = save(tmp_path / "1", {("alexnet", "eager"): [0.002]})
    log = tmp_path / "bench_torch.log"
    log.write_text("#head;PyTorch\n#alexnet;7\n")
    assert merged(log, run) == "Model;PyTorch;PyTorch [bench_torch.log]\nalexnet;2.00;7.00\n"


def test_merging_imports_no_torch():
    program = (
        f"import sys; sys.argv = ['merge_perf.py', {str(LOGS[0])!r}]\n"
        f"sys.path.insert(0, {str(ROOT / 'tools')!r})\n"
        "import merge_perf\n"
        "merge_perf.run_command(merge_perf.main, merge_perf.parser())\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_one_bad_run_spoils_the_merge_and_leaves_the_output_alone(tmp_path):
    good = save(tmp_path / "good.json", {("alexnet", "eager"): [0.002]})
    bad = tmp_path / "bad.json"
    bad.write_text(good.read_text()[:-20])
    output = tmp_path / "perf.csv"
    output.write_text("precious")
    ran = tool("merge_perf.py", good, bad, "-o", output)
    assert ran.returncode == 2
    assert ran.stdout == b""
    assert ran.stderr.startswith(b"merge_perf.py: " + str(bad).encode())
    assert len(ran.stderr.splitlines()) == 1
    assert output.read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 3


def test_the_output_is_written_whole(tmp_path):
    output = tmp_path / "perf.csv"
    assert tool("merge_perf.py", *LOGS, "-o", output).returncode == 0
    assert output.read_bytes() == (DATA / "article_perf.csv").read_bytes()
    ran = tool("merge_perf.py", *LOGS, "-o", tmp_path / "no" / "perf.csv")
    assert ran.returncode == 2
    assert b"cannot be written: No such file or directory" in ran.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no header"),
        ("Model\nalexnet\n", "no header"),
        ("Model;A\nalexnet\n", "line 2: 1 field"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, text, words):
    path = tmp_path / "perf.csv"
    path.write_text(text)
    ran = tool("tab_perf.py", path)
    assert ran.returncode == 2
    assert words.encode() in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


fields = st.text("abc1.-", max_size=20)


@given(
    st.integers(2, 5).flatmap(
        lambda columns: st.lists(
            st.lists(fields, min_size=columns, max_size=columns), min_size=1, max_size=6
        )
    )
)
def test_every_line_of_a_table_is_as_wide_as_its_rule(rows):
    header, rule, *body = table.layout(rows).splitlines()
    assert set(rule) == {"-"}
    assert {len(line) for line in (header, *body)} == {len(rule)}
    for row, line in zip(rows[1:], body, strict=True):
        assert line.split() == [field for field in row if field]


def test_a_csv_of_uneven_rows_is_an_error_that_names_the_line():
    with pytest.raises(FileError, match="perf, line 3: 3 fields where the header has 2"):
        table.parse_csv("Model;A\nx;1\ny;1;2\n", "perf")
