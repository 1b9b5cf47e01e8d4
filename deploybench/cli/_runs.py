"""What the subcommands that read saved runs share: arguments, tables and how they are written."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import replacing
from ..records import store
from ..records.record import RunRecord
from ..report.formats import TABLES, Writer
from . import _terminal

if TYPE_CHECKING:
    from ..report.tables import Table

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
    add_format(parser)
    parser.add_argument(
        "--csv", action="store_const", const="csv", dest="format", help="like --format csv"
    )
    add_storage(parser)


def add_format(
    parser: argparse.ArgumentParser,
    formats: Mapping[str, Writer] = TABLES,
    output: bool = True,
    more: str = "",
) -> None:
    """Add the format of what is printed. output: also the file that it goes to."""
    parser.add_argument(
        "--format",
        choices=formats,
        default="text",
        metavar="FORMAT",
        help=f"{', '.join(formats)} (default: text){more}",
    )
    if output:
        parser.add_argument(
            "-o", "--output", type=Path, metavar="FILE", help="write it there, not to stdout"
        )


def write_table(
    arguments: argparse.Namespace, table_of: Callable[[Sequence[RunRecord]], Table]
) -> None:
    """Read the runs, and print or write their table."""
    runs = store.load(arguments.run, arguments.storage)
    store.require_other(arguments.output, runs)
    show(table_of(runs), arguments)


def show(table: Table, arguments: argparse.Namespace) -> None:
    """Print or write a table in the format that was asked for."""
    output = getattr(arguments, "output", None)
    write(TABLES[arguments.format](table, _terminal.view(output)), output)


def write(text: str, output: Path | None) -> None:
    """Print the text, or write it to the file."""
    if output is None:
        print(text, end="")
        return
    with replacing(output) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
