"""`deploybench costs`: what each case costs beside its calls."""

from __future__ import annotations

import argparse
from functools import partial

from . import _runs
from ._subcommands import READ

NAME = "costs"
SUMMARY = "Print what each model costs through each backend: export, file, memory, first calls."
GROUP = READ
EXAMPLE = "run"
EPILOG = """\
example:
  {command} 0001

One row per model and backend: export and load times, file size, memory growth, first
calls, cold start with its peak memory (of runs with --cold-start), and the calls after
which the export has paid off."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    _runs.add_table(parser)


def main(arguments: argparse.Namespace) -> None:
    """Print or write the table."""
    from ..report import of_runs

    _runs.write_table(arguments, partial(of_runs.all_costs, decimals=arguments.decimals))
