"""`deploybench report`: all results on one page."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..records import store
from . import _runs
from ._subcommands import READ

NAME = "report"
SUMMARY = "Show saved runs on one page: what to ship, plots, costs and the machine."
GROUP = READ
EXAMPLE = "run1 run2 -o report.html"
FORMATS = ("html", "markdown")
EPILOG = """\
examples:
  {command} run1 run2 -o report.html
  {command} change-* --baseline main-* -o report.html

  {command} change-* --baseline main-* --format markdown

The page is one file, which needs no network. It opens in any browser, and can be printed
or sent by mail. With --baseline it also shows the verdicts of the gate. Markdown is a summary of
at most 60,000 bytes, for a pull request.

exit codes:
  0 done, whatever the verdicts are
  2 an argument or a run cannot be used"""


def add_arguments(parser: argparse.ArgumentParser, like: str = "table") -> None:
    """Add the arguments. like: the command whose help says how a run is named."""
    parser.add_argument("run", nargs="+", metavar="RUN", help=_runs.WHICH)
    parser.add_argument(
        "--baseline",
        nargs="+",
        default=(),
        metavar="RUN",
        help="saved runs to judge the others against, as `gate` does",
    )
    parser.add_argument(
        "--format", choices=FORMATS, default=FORMATS[0], help="of the report (default: html)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write it there, not to stdout"
    )
    _runs.add_storage(parser)


def main(arguments: argparse.Namespace) -> None:
    """Write the page."""
    from ..analysis import overview
    from ..report import page, summary

    runs, baseline = store.load_sides((arguments.run, arguments.baseline), arguments.storage)
    store.require_other(arguments.output, (*runs, *baseline))
    render = {"html": page.render, "markdown": summary.render}[arguments.format]
    _runs.write(render(overview.of(runs, baseline)), arguments.output)
