"""`deploybench gate`: has anything become slower, or wrong?"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..records import store
from ..report.formats import GATE
from . import _runs, _terminal
from ._subcommands import READ

if TYPE_CHECKING:
    from ..analysis.regression import Options, Report
    from ..analysis.tolerance import Tolerances

NAME = "gate"
SUMMARY = "Compare saved runs with a baseline, and give an exit code for CI."
GROUP = READ
EXAMPLE = "--baseline main --candidate change"
EPILOG = """\
example:
  {command} --baseline main-1 main-2 main-3 --candidate 0007 0008 0009

Each run is one process. With one run a side, every cell is inconclusive.

verdicts:
  slower          significantly slower, and by more than the tolerance
  faster          significantly faster, and by more than the tolerance
  same            the whole confidence interval lies within the tolerance
  inconclusive    none of these; the note says how many more runs would settle it
  missing         in the baseline only
  new             in the candidate only
  wrong           a run of the candidate gave a wrong answer; the note says which
  failed          a run of the candidate could not export, load or run it; the note
                  says why
  not comparable  made on another machine, or with other versions or settings

A cell that is inconclusive by itself is compared with the other backends of its model,
if there are at least two. The same processes timed them interleaved with it, so what the
machine does to all of them cancels out.

exit codes:
  0 nothing slower, missing, wrong or failed
  1 something slower
  2 an argument or a run cannot be used
  3 not comparable
  4 missing, wrong or failed cells, or nothing to judge
  5 not one cell could be decided: all are inconclusive, so save more runs"""


def add_arguments(parser: argparse.ArgumentParser, like: str = "table") -> None:
    """Add the arguments. like: the command whose help says how a run is named."""
    parser.add_argument(
        "--baseline", nargs="+", required=True, metavar="RUN", help=f"saved runs, as for {like}"
    )
    parser.add_argument(
        "--candidate", nargs="+", required=True, metavar="RUN", help=f"saved runs, as for {like}"
    )
    add_judgement(parser)
    _runs.add_storage(parser)


def add_judgement(parser: argparse.ArgumentParser) -> None:
    """Add what says how two sides are judged, and how the report is written."""
    add_limits(parser)
    _runs.add_format(parser, GATE)
    parser.add_argument("--all", action="store_true", help="also list the cells that are the same")


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Add what says how two sides are judged; see `options_of`."""
    parser.add_argument(
        "--tolerance", metavar="SHARE", help="how much slower a cell may get (default: 5%%)"
    )
    parser.add_argument(
        "--tolerances",
        type=Path,
        metavar="FILE",
        help='a TOML file: tolerance = "5%%", and the tables [model] and [backend] with a '
        "tolerance for each name or glob",
    )
    parser.add_argument(
        "--confidence",
        type=float,
        default=0.95,
        metavar="SHARE",
        help="the probability that the report calls no unchanged cell slower or faster "
        "(default: 0.95)",
    )


def main(arguments: argparse.Namespace) -> int:
    """Print or write the report and return the exit code."""
    from ..analysis import regression

    options = options_of(arguments)
    baseline, candidate = store.load_sides(
        (arguments.baseline, arguments.candidate), arguments.storage
    )
    judged = regression.judge_runs(baseline, candidate, options)
    store.require_other(arguments.output, (*baseline, *candidate))
    return write(judged, arguments)


def options_of(arguments: argparse.Namespace) -> Options:
    """How to judge. Raises UsageError for what is no confidence or no tolerance."""
    from ..analysis.regression import Options

    if not 0 < arguments.confidence < 1:
        raise UsageError(f"{arguments.confidence} is not a confidence; use for example 0.95")
    return Options(arguments.confidence, _tolerances(arguments))


def write(report: Report, arguments: argparse.Namespace) -> int:
    """Print or write the report in its format, and return its exit code."""
    text = GATE[arguments.format](report, arguments.all, _terminal.view(arguments.output))
    _runs.write(text, arguments.output)
    return report.exit_code


def _tolerances(arguments: argparse.Namespace) -> Tolerances:
    from ..analysis import tolerance

    given = None if arguments.tolerance is None else tolerance.parse(arguments.tolerance)
    if arguments.tolerances is not None:
        return tolerance.read(arguments.tolerances, given)
    default = tolerance.Tolerances()
    return default if given is None else replace(default, everywhere=given)
