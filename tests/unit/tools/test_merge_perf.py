"""merge_perf and tab_perf as they are called, and what every tool does around its work."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploybench.command import run_command
from deploybench.errors import FileError

from ..saved_runs import save

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(__file__).parents[1] / "data"
LOGS = [DATA / name for name in ("article_torch.log", "article_ts_py.log", "article_ts.log")]
ALEXNET = {("alexnet", "eager"): [0.002]}


def tool(name: str, *arguments, **options) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, str(ROOT / "tools" / name), *map(str, arguments)]
    # Buffered, as people run it: what is left in the buffer is what makes trouble at the end.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    options = {**pipes, "env": environment, **options}
    return subprocess.run(command, check=False, timeout=60, **options)


def assert_refused(ran: subprocess.CompletedProcess[bytes], start: str, words: str) -> None:
    assert ran.returncode == 2
    assert not ran.stdout
    (line,) = ran.stderr.decode().splitlines()
    assert line.startswith(f"{start}: ")
    assert words in line


def test_the_articles_logs_become_the_articles_csv_to_the_byte():
    assert tool("merge_perf.py", *LOGS).stdout == (DATA / "article_perf.csv").read_bytes()


def test_the_articles_csv_becomes_the_articles_table_to_the_byte():
    ran = tool("tab_perf.py", DATA / "article_perf.csv")
    assert ran.stdout == (DATA / "article_perf.txt").read_bytes()


def test_the_output_is_written_whole(tmp_path):
    output = tmp_path / "perf.csv"
    ran = tool("merge_perf.py", *LOGS, "-o", output)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
    assert output.read_bytes() == (DATA / "article_perf.csv").read_bytes()
    assert list(tmp_path.iterdir()) == [output]


def test_a_run_is_found_by_its_name_from_where_it_was_saved(tmp_path):
    save(tmp_path / ".benchmarks" / "Linux-CPython-3.11-64bit" / "0001_run1.json", ALEXNET)
    for name in ("0001", "run1"):
        assert tool("merge_perf.py", name, cwd=tmp_path).stdout == b"Model;PyTorch\nalexnet;2.00\n"
    assert_refused(
        tool("merge_perf.py", "run2", cwd=tmp_path), "merge_perf", "the runs there: 0001_run1"
    )


def test_one_bad_run_spoils_the_merge_and_leaves_the_output_alone(tmp_path):
    good = save(tmp_path / "good.json", ALEXNET)
    bad = tmp_path / "bad.json"
    bad.write_text(good.read_text()[:-20])
    output = tmp_path / "perf.csv"
    output.write_text("precious")
    assert_refused(tool("merge_perf.py", good, bad, "-o", output), "merge_perf", str(bad))
    assert_refused(tool("merge_perf.py", good, bad), "merge_perf", str(bad))
    assert output.read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 3


def test_a_run_of_something_else_is_refused(tmp_path):
    path = tmp_path / "0001_other.json"
    path.write_text(
        json.dumps({"machine_info": {"node": "host"}, "benchmarks": [], "version": "5"})
    )
    assert_refused(tool("merge_perf.py", path), "merge_perf", f"{path} is not a run of deploybench")


def test_an_output_that_cannot_be_written_is_refused(tmp_path):
    run = save(tmp_path / "run.json", ALEXNET)
    ran = tool("merge_perf.py", run, "-o", tmp_path / "no" / "perf.csv")
    assert_refused(ran, "merge_perf", "cannot be written: No such file or directory")


def test_only_plain_files_are_ever_replaced(tmp_path):
    """A rename over a link would cut it off, and over a device would take it from everybody."""
    run = save(tmp_path / "run.json", ALEXNET)
    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    target.write_text("old")
    link.symlink_to(target)
    assert tool("merge_perf.py", run, "-o", link).returncode == 0
    assert link.is_symlink()
    assert target.read_text() == "Model;PyTorch\nalexnet;2.00\n"
    # A folder stands for all that is there and no file: a device is not for tests to risk.
    folder = tmp_path / "folder"
    folder.mkdir()
    ran = tool("merge_perf.py", run, "-o", folder)
    words = f"{folder} is not a regular file; name one that can be written"
    assert_refused(ran, "merge_perf", words)


def test_merging_imports_no_torch():
    program = (
        f"import sys; sys.argv = ['merge_perf.py', {str(LOGS[0])!r}]\n"
        f"sys.path.insert(0, {str(ROOT / 'tools')!r})\n"
        "import merge_perf\n"
        "code = merge_perf.run_command(merge_perf.main, merge_perf.parser())\n"
        "print(code, 'pandas' in sys.modules, 'torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert ran.stdout.splitlines()[-1] == b"0 True False"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no header"),
        (b"Model;A\nalexnet\n", "line 2: 1 field"),
        (b"\xff\xd8\xff", "it is not text"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_is_not_a_table_is_refused(tmp_path, content, words):
    path = tmp_path / "perf.csv"
    if content is not None:
        path.write_bytes(content)
    assert_refused(tool("tab_perf.py", path), "tab_perf", words)


@pytest.mark.parametrize("name", ["merge_perf.py", "tab_perf.py"])
def test_help_has_examples(name):
    assert f"python tools/{name} " in tool(name, "--help").stdout.decode()


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no /dev/full on this system")
def test_a_full_disk_is_reported_in_one_line():
    with Path("/dev/full").open("wb") as full:
        ran = tool("tab_perf.py", DATA / "article_perf.csv", stdout=full)
    assert_refused(ran, "tab_perf", "No space left on device")


def test_a_reader_that_closes_the_output_is_not_an_error():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ran = tool("tab_perf.py", DATA / "article_perf.csv", stdout=writer)
    finally:
        os.close(writer)
    assert (ran.returncode, ran.stderr) == (141, b"")


def test_a_run_is_never_written_over(tmp_path):
    path = save(tmp_path / "run.json", ALEXNET)
    before = path.read_bytes()
    assert_refused(tool("merge_perf.py", path, "-o", path), "merge_perf", "name another file")
    assert path.read_bytes() == before


def test_decimals_are_those_of_every_table_with_milliseconds(tmp_path):
    path = save(tmp_path / "run.json", ALEXNET)
    shown = tool("merge_perf.py", path, "--costs", "--decimals=3").stdout.decode()
    assert ";2.000;" in shown


def run_with(monkeypatch, error: BaseException | None) -> int:
    def main(arguments: argparse.Namespace) -> None:
        if error is not None:
            raise error

    monkeypatch.setattr(sys, "argv", ["prog"])
    return run_command(main, argparse.ArgumentParser(prog="prog"))


def test_exit_codes_of_a_command(monkeypatch, capsys):
    assert run_with(monkeypatch, None) == 0
    assert run_with(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == ""
    assert run_with(monkeypatch, FileError("'a\nb' is bad")) == 2
    assert capsys.readouterr().err == "prog: 'a b' is bad\n"
    # Never 1, which may mean something: that a model is slower.
    assert run_with(monkeypatch, ZeroDivisionError("by zero")) == 70
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("prog: ZeroDivisionError: by zero (test_merge_perf.py:")
