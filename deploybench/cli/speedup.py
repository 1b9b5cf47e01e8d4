"""`deploybench speedup`: which backends are significantly faster than eager."""

from __future__ import annotations

import argparse

from . import _runs
from ._subcommands import READ

NAME = "speedup"
SUMMARY = "Print the speed-up of each backend against eager, with its confidence interval."
GROUP = READ
EXAMPLE = "run"
EPILOG = """\
example:
  {command} 0001 0002

The intervals are of 95% confidence, from rounds or, with several runs, processes. `~`
marks a difference that is not significant. The last row is the geometric mean."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    _runs.add_table(parser, decimals=False)


def main(arguments: argparse.Namespace) -> None:
    """Print or write the table."""
    from ..report import of_runs

    _runs.write_table(arguments, of_runs.speedups)
