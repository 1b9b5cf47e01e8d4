"""The command itself: its help, its errors, its colour, its completion, how quickly it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploybench import __version__, cli
from deploybench.cli import _parsers
from deploybench.cli._subcommands import GROUPS, subcommands
from tests.unit.python_process import run_python

ROOT = Path(__file__).resolve().parents[3]
NAMES = {
    *("bench", "check", "table", "speedup", "costs", "gate", "recommend", "support", "export"),
    *("infer", "models", "backends", "doctor", "compare-commits", "report", "history", "explain"),
    "sweep",
}


def python(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_python(words, ROOT, {**os.environ, **environment})


def test_every_subcommand_is_found():
    assert set(subcommands()) == NAMES


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_the_help_names_every_subcommand_in_a_group_with_an_example(words, capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(words)
    lines = capsys.readouterr().out.splitlines()
    assert [line[:-1] for line in lines if line[:-1] in GROUPS] == list(GROUPS)
    for name, each in subcommands().items():
        (place,) = (number for number, line in enumerate(lines) if line.startswith(f"  {name} "))
        assert lines[place].endswith(each.SUMMARY)
        assert lines[place + 1].strip() == f"deploybench {name} {each.EXAMPLE}".strip()


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_subcommand_has_help_with_an_example(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main([name, "--help"])
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: deploybench {name} ")
    assert f"\n  deploybench {name}" in printed or f"example: deploybench {name} " in printed
    assert "{command}" not in printed
    assert "\x1b" not in printed


@pytest.mark.parametrize("name", sorted(NAMES - {"bench", "check", "sweep"}))
def test_an_unknown_option_is_one_clear_error(name, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main([name, "--no-such-option"])
    assert f"deploybench {name}: error: " in capsys.readouterr().err


def test_an_unknown_subcommand_names_the_nearest(capsys):
    assert cli.main(["tabel"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("deploybench: unknown command 'tabel': did you mean 'table'?")


def test_the_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"deploybench {__version__}\n"


def test_an_error_of_a_subcommand_is_one_line_with_its_name(capsys):
    assert cli.main(["table", "no-such-run", "--storage", "/nowhere"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("deploybench table: 'no-such-run' is neither a file nor a run")


def test_help_has_colour_on_a_terminal_only_and_not_with_no_color(monkeypatch):
    pytest.importorskip("rich_argparse")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert "Rich" in _parsers.formatter().__mro__[1].__name__
    monkeypatch.setenv("NO_COLOR", "1")
    assert _parsers.formatter().__module__ == "argparse"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    assert _parsers.formatter().__module__ == "argparse"


def test_without_rich_argparse_help_is_plain(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setitem(sys.modules, "rich_argparse", None)
    assert _parsers.formatter().__module__ == "argparse"


def test_brackets_and_backticks_survive_the_colours(monkeypatch):
    pytest.importorskip("rich_argparse")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    parser = _parsers.subcommand_parser(subcommands()["bench"])
    assert "[MODEL ...]" in parser.format_help()


def test_a_shell_completes_subcommands_and_options(tmp_path):
    pytest.importorskip("argcomplete")
    for line, expected in (("deploybench ta", "table"), ("deploybench gate --bas", "--baseline")):
        told = tmp_path / "told"
        python(
            *("-m", "deploybench"),
            _ARGCOMPLETE="1",
            _ARGCOMPLETE_STDOUT_FILENAME=str(told),
            COMP_LINE=line,
            COMP_POINT=str(len(line)),
            COMP_TYPE="9",
        )
        assert told.read_text().strip() == expected


def test_help_is_quick_since_it_imports_nothing_slow():
    code = (
        "import sys, time\nfrom deploybench import cli\n"
        "try: cli.main([])\n"
        "except SystemExit: pass\n"
        "slow = {'torch', 'pandas', 'scipy', 'pytest', 'rich'} & set(sys.modules)\n"
        "print(sorted(slow), time.process_time() < 0.5)"
    )
    assert python("-c", code).stdout.splitlines()[-1] == "[] True"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", ["-m deploybench models", "tools/recommend.py none.json"])
def test_closed_streams_are_no_error(closed, words):
    ran = subprocess.run(
        ["bash", "-c", f'"$0" {words} {closed}', sys.executable],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == (2 if "none" in words else 0)
    assert len(ran.stderr.splitlines()) == ("none" in words and "2>" not in closed)
