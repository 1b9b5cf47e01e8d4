"""The command line of tools/tab_perf.py."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import FileError
from ..report import article_csv

EPILOG = """\
examples:
  python tools/merge_perf.py 0001 0002 -o perf.csv
  {command} perf.csv"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("csv", type=Path, metavar="CSV", help="a file that merge_perf wrote")


def main(arguments: argparse.Namespace) -> None:
    """Print the table."""
    from ..report import text

    try:
        given = arguments.csv.read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(f"{arguments.csv} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FileError(f"{arguments.csv} is not a CSV of merge_perf: it is not text") from error
    print(text.layout(article_csv.parse_csv(given, str(arguments.csv))), end="")
