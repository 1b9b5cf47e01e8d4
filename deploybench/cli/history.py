"""`deploybench history`: the figures of saved runs over time."""

from __future__ import annotations

import argparse
import fnmatch
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import FileError, UsageError
from ..report.formats import HISTORY
from . import _runs, _terminal
from ._subcommands import READ

if TYPE_CHECKING:
    from ..analysis.trends import Trend
    from ..records.history import Cell

NAME = "history"
SUMMARY = "Show how the figures of all saved runs went over time, and where they changed."
GROUP = READ
EXAMPLE = ""
EPILOG = """\
examples:
  {command}
  {command} --model resnet --backend "cpp or onnx"
  {command} --since 90d --format csv -o history.csv

One row per model and backend; `*` marks a disturbed figure. A change is a step that is
too large and lasts too long for chance. It is looked for in the ratio to eager in the
same process, which what the machine does to both does not change; where there is no
ratio, in the latency. Where the machine or the versions changed, the figures before and
after are not compared.

An index beside the runs makes this quick. It can be removed at any time.

exit codes:
  0 done
  2 an argument or the storage cannot be used"""
FILTER = 'which: a part of a name or a glob; also with "and", "or" and "not", as for pytest\'s -k'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--model", metavar="WHICH", help=f"only models; {FILTER}")
    parser.add_argument("--backend", metavar="WHICH", help="only backends, by name or title")
    parser.add_argument(
        "--since",
        metavar="WHEN",
        help="only runs since a date (in UTC), such as 2026-01-31, or since so many days ago: 90d",
    )
    parser.add_argument(
        "--confidence",
        type=float,
        default=0.95,
        metavar="SHARE",
        help="the probability that no change is named if nothing changed (default: 0.95)",
    )
    _runs.add_format(
        parser,
        HISTORY,
        more="; csv and json have every run, and the last two the latest figures for the services "
        "of these names",
    )
    parser.add_argument(
        "--rebuild", action="store_true", help="make the index anew from the saved runs"
    )
    _runs.add_storage(parser)


def main(arguments: argparse.Namespace) -> None:
    """Print or write the history."""
    from ..records import store

    if not 0 < arguments.confidence < 1:
        raise UsageError(f"{arguments.confidence} is not a confidence; use for example 0.95")
    storage = store.folder(arguments.storage)
    require_no_run(arguments.output, storage)
    chosen = found(
        storage,
        arguments.confidence,
        wanted=_wanted(arguments),
        since=_since(arguments.since),
        rebuild=arguments.rebuild,
    )
    text = HISTORY[arguments.format](chosen, _terminal.view(arguments.output))
    _runs.write(text, arguments.output)


def found(storage: Path, confidence: float = 0.95, **which: Any) -> list[Trend]:
    """The trends of the runs in a folder. which: of them, as for records.history.load.

    Names the files that cannot be read on stderr. Raises FileError if no run is left.
    """
    from ..analysis import trends
    from ..records import history

    recorded = history.load(storage, trends.ratio, **which)
    for problem in recorded.problems:
        print(f"left out: {problem}", file=sys.stderr)
    if not recorded.cells:
        raise FileError(
            f"{storage} has no saved run that fits; save one with `deploybench bench`, or give "
            "another --storage, --model, --backend or --since"
        )
    return trends.trends(recorded.cells, confidence)


def require_no_run(output: Path | None, storage: Path) -> None:
    """Raise UsageError if the output would replace a file that may be a saved run."""
    may_be = output is not None and output.suffix == ".json" and output.exists()
    if output is not None and may_be and storage.resolve() in output.resolve().parents:
        raise UsageError(f"{output} is a file of the saved runs; name another file")


def _wanted(arguments: argparse.Namespace) -> Callable[[Cell], bool]:
    model, backend = (_matcher(text) for text in (arguments.model, arguments.backend))
    return lambda cell: model(cell.model) and backend(cell.backend or "", cell.title)


def _matcher(text: str | None) -> Callable[..., bool]:
    """Whether any of some names fits an expression of parts of names, and, or and not."""
    if text is None:
        return lambda *_: True
    choices = [_divided("and", choice) for choice in _divided("or", text)]
    if not all(term.removeprefix("not ").strip() for terms in choices for term in terms):
        raise UsageError(f"'{text}' names nothing; give a part of a name, such as resnet")
    return lambda *names: any(all(_fits(term, names) for term in terms) for terms in choices)


def _divided(word: str, text: str) -> list[str]:
    return [part.strip() for part in re.split(rf"(?:^|\s){word}(?=\s|$)", text)]


def _fits(term: str, names: tuple[str, ...]) -> bool:
    wanted = term.removeprefix("not ").strip().lower()
    if any(character in wanted for character in "*?["):
        found = any(fnmatch.fnmatchcase(name.lower(), wanted) for name in names)
    else:
        found = any(wanted in name.lower() for name in names)
    return found != term.startswith("not ")


def _since(text: str | None) -> float | None:
    """A date or a number of days ago, in seconds since 1970."""
    if text is None:
        return None
    if days := re.fullmatch(r"(\d{1,6})d", text):
        return time.time() - 86400 * int(days[1])
    from ..records.history_update import seconds

    moment = seconds(text)
    if moment is None:
        raise UsageError(
            f"--since '{text}' is not a time; give a date such as 2026-01-31, or days such as 90d"
        )
    return moment
