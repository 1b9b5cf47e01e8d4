"""Runs that older versions saved: every tool prints of them what it printed then."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(__file__).parents[1] / "data"
TRANSCRIPT = (DATA / "saved_runs_by_0.2.0.txt").read_text(encoding="utf-8")
PRINTED = dict(re.findall(r"^\$ (.*)\n((?:.*\n)*?\[exit \d+\])$", TRANSCRIPT, re.MULTILINE))


@pytest.fixture
def tool(monkeypatch, capsys):
    """A function that runs a line of the transcript; what it prints, and its exit code."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    monkeypatch.chdir(DATA)

    def run(line: str) -> str:
        name, *arguments = shlex.split(line)
        module = importlib.import_module(name)
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        code = module.run_command(module.main, module.parser())
        printed = capsys.readouterr()
        return f"{printed.out}{printed.err}[exit {code}]"

    return run


def test_the_transcript_is_read_whole():
    assert len(PRINTED) == TRANSCRIPT.count("\n$ ") + 1 == 30


@pytest.mark.parametrize("line", PRINTED)
def test_a_tool_prints_of_an_old_run_what_it_printed_then(tool, line):
    assert tool(line) == PRINTED[line]
