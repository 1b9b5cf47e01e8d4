"""`deploybench recommend`: which backend to take."""

from __future__ import annotations

import argparse

from . import _runs
from ._subcommands import READ

NAME = "recommend"
SUMMARY = "Name the fastest backend that gave the right answer for each model, and its costs."
GROUP = READ
EXAMPLE = "run"
EPILOG = """\
example:
  {command} 0001 0002

Brackets contain the 95% confidence interval. `~` marks a difference that is not
significant, `*` a disturbed figure.

exit codes:
  0 done
  2 a run cannot be used"""


def add_arguments(parser: argparse.ArgumentParser, like: str = "table") -> None:
    """Add the arguments. like: the command whose help says how a run is named."""
    parser.add_argument("run", nargs="+", metavar="RUN", help=f"a saved run, as for {like}")
    _runs.add_format(parser)
    _runs.add_storage(parser)


def main(arguments: argparse.Namespace) -> None:
    """Print or write the choices for each model, and a summary."""
    from ..report import recommended

    _runs.write_table(arguments, recommended.table)
