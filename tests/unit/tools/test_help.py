"""The help of each tool is what it was before the tools became callers of deploybench/cli."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
HELP = Path(__file__).parents[1] / "data" / "help"
TOOLS = sorted(path.stem for path in (ROOT / "tools").glob("*.py"))


def test_every_tool_has_its_text():
    assert sorted(path.stem for path in HELP.iterdir()) == TOOLS


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="argparse lays its help out otherwise")
@pytest.mark.parametrize("tool", TOOLS)
def test_the_help_of_a_tool_is_the_same_to_the_byte(tool):
    ran = subprocess.run(
        [sys.executable, ROOT / "tools" / f"{tool}.py", "--help"],
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        check=True,
    )
    assert ran.stdout == (HELP / f"{tool}.txt").read_bytes()
