"""`deploybench report`: all results on one page."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import FileError, UsageError
from ..records import explanation, store
from ..records.explanation import Explanation
from ..records.record import RunRecord
from ..report.formats import EXPLANATION
from . import _runs, _terminal, gate
from ._subcommands import READ

if TYPE_CHECKING:
    from ..analysis.trends import Trend

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
  {command} run1 --explanation why.json -o report.html
  {command} --history -o history.html

The page is one file, which needs no network. It opens in any browser, and can be printed
or sent by mail. With --baseline it also shows the verdicts of the gate, and with --history
how the figures of all saved runs went over time, and the first commit that made one slower.
With --explanation it shows the layers of a cell, as `explain --format json` wrote them.
Markdown is a summary of at most 60,000 bytes, for a pull request.

exit codes:
  0 done, whatever the verdicts are
  2 an argument or a run cannot be used"""


def add_arguments(parser: argparse.ArgumentParser, like: str = "table") -> None:
    """Add the arguments. like: the command whose help says how a run is named."""
    parser.add_argument("run", nargs="*", metavar="RUN", help=_runs.WHICH)
    parser.add_argument(
        "--history",
        action="store_true",
        help="also plot all saved runs of the storage over time, with their changes; without RUN, "
        "nothing else",
    )
    parser.add_argument(
        "--baseline",
        nargs="+",
        default=(),
        metavar="RUN",
        help="saved runs to judge the others against, as `gate` does",
    )
    gate.add_limits(parser)
    parser.add_argument(
        "--explanation",
        nargs="+",
        default=(),
        type=Path,
        metavar="FILE",
        help="what `explain --format json` wrote of a cell of the runs: its error by layer",
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
    if not arguments.run:
        _write_history(arguments)
        return
    from ..analysis import overview
    from ..report import page, summary

    runs, baseline = store.load_sides((arguments.run, arguments.baseline), arguments.storage)
    store.require_other(arguments.output, (*runs, *baseline))
    found = overview.of(runs, baseline, gate.options_of(arguments))
    trends = _trends(arguments) if arguments.history else []
    explanations = _explanations(arguments.explanation, runs)
    if arguments.format == "html":
        text = page.render(found, trends, explanations)
    else:
        parts = [summary.of_history(trends, summary.LIMIT // 2)] if trends else []
        view = _terminal.view(None)
        parts += [EXPLANATION["markdown"](each, False, view) for each in explanations]
        text = summary.render(found, parts)
    _runs.write(text, arguments.output)


def _explanations(paths: Sequence[Path], runs: Sequence[RunRecord]) -> list[Explanation]:
    """The explanations in the files. Raises FileError for one of a cell that no run has."""
    found = [explanation.read(path) for path in paths]
    cells = {(case.model, case.backend) for run in runs for case in run.cases}
    cells |= {(failed.model, failed.backend) for run in runs for failed in run.failed}
    for path, each in zip(paths, found, strict=True):
        if (each.model, each.backend) not in cells:
            raise FileError(
                f"{path} explains {each.model} through {each.backend}, which is in none of the "
                "runs; give the run that has it"
            )
    return found


def _write_history(arguments: argparse.Namespace) -> None:
    """Write the page, or the Markdown, of the history alone."""
    if not arguments.history:
        raise UsageError("give the runs to report, such as latest, or --history for all of them")
    if arguments.baseline:
        raise UsageError("--baseline judges runs; give them before it")
    if arguments.explanation:
        raise UsageError("--explanation is of a cell of a run; give the run before it")
    from ..report import history_page, summary

    render = history_page.render if arguments.format == "html" else summary.of_history
    _runs.write(render(_trends(arguments)), arguments.output)


def _trends(arguments: argparse.Namespace) -> list[Trend]:
    """The trends of the storage. Raises FileError if it has no run."""
    from . import history

    storage = store.folder(arguments.storage)
    history.require_no_run(arguments.output, storage)
    return history.found(storage)
