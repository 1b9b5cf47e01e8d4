"""`deploybench doctor`: what of this machine disturbs measurements."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..installation import cache_folder
from ..machine.known import known
from ..native import build
from . import _runs, _terminal
from ._subcommands import HERE

if TYPE_CHECKING:
    from ..machine.finding import Finding
    from ..report.tables import Table

NAME = "doctor"
SUMMARY = "Say what of this machine disturbs measurements, and what to do about it."
GROUP = HERE
EXAMPLE = ""
EPILOG = """\
examples:
  {command}
  {command} --strict

One finding a line: ok, look, or not known; then what was seen and what to do.

exit codes:
  0 done
  1 with --strict: there is something to look at"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--strict", action="store_true", help="exit code 1 if there is something to look at"
    )
    _runs.add_format(parser, output=False)


def main(arguments: argparse.Namespace) -> int:
    """Print the findings and their count."""
    from ..machine import doctor
    from ..machine.finding import LOOK, Place

    tools: dict[str, Callable[[], object]] = {
        "C++ compiler": build.find_compiler,
        "cmake": partial(build.build_tool, "cmake"),
        "ninja": partial(build.build_tool, "ninja"),
    }
    found = doctor.examine(Place(), tools, _folders())
    count = sum(finding.verdict == LOOK for finding in found)
    summary = f"{len(found)} findings, {count} to look at"
    if arguments.format == "text":
        for finding in found:
            print(_terminal.folded(finding.line(), " " * 11))
        print(summary)
    else:
        _runs.show(_table(found, summary), arguments)
    return int(arguments.strict and count > 0)


def _table(found: Sequence[Finding], summary: str) -> Table:
    from ..report.tables import Table

    titles = ("Subject", "Verdict", "Seen", "What to do")
    rows = [(each.subject, each.verdict, each.seen, each.remedy or "-") for each in found]
    return Table.of(
        [titles, *rows],
        words=frozenset(titles[1:]),
        title="What disturbs measurements here",
        notes=(summary,),
        data=[asdict(each) for each in found],
    )


def _folders() -> dict[str, Path]:
    """The folders that a run writes to; a user without a home has none in it."""
    home = known(Path.home, Path("~"))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return {
        "C++ program": build.BUILD
        if build.builds_in_place()
        else known(cache_folder, cache / "deploybench"),
        "pretrained weights": Path(os.environ.get("TORCH_HOME") or cache / "torch"),
        "exported files": Path(tempfile.gettempdir()),
        "saved runs": Path.cwd() / ".benchmarks",
    }
