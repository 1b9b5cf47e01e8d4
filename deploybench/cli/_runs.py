"""What the subcommands that read saved runs share: arguments, tables and how they are written."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from ..files import replacing
from ..records import store
from ..records.record import RunRecord
from ..report import article_csv

Rows = list[list[str]]
WHICH = (
    "a saved run: a path, or a number, name or glob as for `pytest-benchmark compare`; "
    "or the path of a log in the article's #head; format"
)
FLOOR = (
    "each cell as a multiple of the roofline bound: the shortest time that the model's "
    "arithmetic, or reading its weights, can take on the device"
)


def add_storage(parser: argparse.ArgumentParser) -> None:
    """Add the folder of saved runs."""
    parser.add_argument(
        "--storage",
        default=".benchmarks",
        metavar="FOLDER",
        help="the folder of saved runs, like pytest's --benchmark-storage (default: .benchmarks)",
    )


def add_decimals(parser: argparse.ArgumentParser) -> None:
    """Add the number of decimals."""
    parser.add_argument(
        "--decimals",
        type=int,
        choices=range(7),
        default=2,
        metavar="N",
        help="decimals of milliseconds and of images per second (default: 2); use 3 for models "
        "that take less than a millisecond",
    )


def add_table(parser: argparse.ArgumentParser, decimals: bool = True) -> None:
    """Add all that a subcommand needs which prints a table of saved runs."""
    parser.add_argument("run", nargs="+", metavar="RUN", help=WHICH)
    if decimals:
        add_decimals(parser)
    parser.add_argument(
        "--csv", action="store_true", help="as CSV with semicolons, instead of a text table"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write it there, not to stdout"
    )
    add_storage(parser)


def latencies(runs: Sequence[RunRecord], decimals: int = 2) -> Rows:
    """Models by backends: the median latency, or images per second."""
    from ..analysis import table

    marks = table.disturbed(runs), decimals, table.unproven(runs)
    return table.to_rows(table.merge(runs), *marks)


def floors(runs: Sequence[RunRecord], decimals: int) -> Rows:
    """The same, as multiples of the roofline bound."""
    from ..analysis import roofline_bound

    return roofline_bound.to_rows(runs, decimals)


def speedups(runs: Sequence[RunRecord]) -> Rows:
    """The speed-up of each backend against eager, with its interval."""
    from ..analysis import speedup

    return speedup.to_rows(speedup.compare(runs), speedup.without_baseline(runs))


def all_costs(runs: Sequence[RunRecord], decimals: int) -> Rows:
    """What each case costs beside its calls."""
    from ..analysis import costs

    return costs.to_rows(runs, decimals)


def write_table(
    arguments: argparse.Namespace, table_of: Callable[[Sequence[RunRecord]], Rows]
) -> None:
    """Read the runs, and print or write their table."""
    runs = store.load(arguments.run, arguments.storage)
    store.require_other(arguments.output, runs)
    rows = table_of(runs)
    if arguments.csv:
        write(article_csv.to_csv(rows), arguments.output)
        return
    from ..report.text import layout

    write(layout(rows), arguments.output)


def write(text: str, output: Path | None) -> None:
    """Print the text, or write it to the file."""
    if output is None:
        print(text, end="")
        return
    with replacing(output) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
