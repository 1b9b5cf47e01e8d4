#!/usr/bin/env python3
"""Judges saved runs against a baseline, cell by cell, with an exit code for CI."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.analysis import regression, tolerance
from deploybench.command import run_command
from deploybench.errors import UsageError
from deploybench.files import replacing
from deploybench.records import store
from deploybench.report.formats import FORMATS


def main(arguments: argparse.Namespace) -> int:
    """Print or write the report; the exit code is the verdict."""
    baseline, candidate = store.load_sides(
        (arguments.baseline, arguments.candidate), arguments.storage
    )
    if not 0 < arguments.confidence < 1:
        raise UsageError(f"confidence {arguments.confidence} is none: give a share such as 0.95")
    judged = regression.judge_runs(
        baseline, candidate, regression.Options(arguments.confidence, _tolerances(arguments))
    )
    text = FORMATS[arguments.format](judged, arguments.all)
    store.require_other(arguments.output, (*baseline, *candidate))
    if arguments.output is None:
        print(text, end="")
        return judged.exit_code
    with replacing(arguments.output) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return judged.exit_code


def _tolerances(arguments: argparse.Namespace) -> tolerance.Tolerances:
    given = None if arguments.tolerance is None else tolerance.parse(arguments.tolerance)
    if arguments.tolerances is not None:
        return tolerance.read(arguments.tolerances, given)
    none = tolerance.Tolerances()
    return none if given is None else replace(none, everywhere=given)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="gate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""\
example:
  python tools/gate.py --baseline main-1 main-2 main-3 --candidate 0007 0008 0009

Each run is one process, and the process is the unit that repeats: with one run a side every cell is
inconclusive. slower: the interval of the effect lies above 0 and the effect is above the tolerance;
faster: its mirror; same: the whole interval lies within the tolerance; inconclusive: anything else,
with the number of runs that would settle it. Where a cell is inconclusive by itself, it is looked
at beside the other backends of its model (two or more), which the same processes timed in turn with
it: what the machine does to all of them alike is then no matter. missing: in the baseline alone;
new: in the candidate alone; wrong: in a run of the candidate it gave a wrong answer; failed: in one
it gave none, since it could not be exported, loaded or run; the note says how; not comparable: made
on another machine, with other versions or settings.

exit codes: 0 nothing slower, missing, wrong or failed; 1 something slower; 2 an argument or a run
cannot be used; 3 not comparable; 4 missing, wrong or failed cells, or nothing to judge""",
    )
    parser.add_argument("--baseline", nargs="+", required=True, metavar="RUN", help="saved runs")
    parser.add_argument("--candidate", nargs="+", required=True, metavar="RUN", help="saved runs")
    parser.add_argument(
        "--tolerance", metavar="SHARE", help="how much slower is no matter (default: 5%%)"
    )
    parser.add_argument(
        "--tolerances",
        type=Path,
        metavar="FILE",
        help='a TOML file: tolerance = "5%%", and tables [model] and [backend] of names or globs',
    )
    parser.add_argument(
        "--confidence",
        type=float,
        default=0.95,
        metavar="SHARE",
        help="that the whole report calls nothing slower or faster that is not (default: 0.95)",
    )
    parser.add_argument("--format", choices=FORMATS, default="text")
    parser.add_argument("--all", action="store_true", help="list cells that are the same too")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: print it")
    parser.add_argument(
        "--storage",
        default=".benchmarks",
        metavar="FOLDER",
        help="where runs are saved, as pytest's --benchmark-storage (default: .benchmarks)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main, parser()))
