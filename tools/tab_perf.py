#!/usr/bin/env python3
"""Prints a CSV file of merge_perf as a text table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.command import run_command
from deploybench.errors import FileError
from deploybench.report import article_csv, text


def main(arguments: argparse.Namespace) -> None:
    """Print the table."""
    try:
        given = arguments.csv.read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(f"{arguments.csv} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FileError(f"{arguments.csv} is not a CSV of merge_perf: it is not text") from error
    print(text.layout(article_csv.parse_csv(given, str(arguments.csv))), end="")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="tab_perf",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""\
examples:
  python tools/merge_perf.py 0001 0002 -o perf.csv
  python tools/tab_perf.py perf.csv""",
    )
    parser.add_argument("csv", type=Path, metavar="CSV", help="a file that merge_perf wrote")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main, parser()))
