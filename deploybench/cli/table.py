"""`deploybench table`: the latencies of saved runs."""

from __future__ import annotations

import argparse
from functools import partial

from . import _runs
from ._subcommands import READ

NAME = "table"
SUMMARY = "Print the latencies of saved runs as one table: models by backends."
GROUP = READ
EXAMPLE = "run"
EPILOG = """\
examples:
  {command} run                    all runs that `deploybench bench` saved, pooled
  {command} 0001 0002 --csv        two runs, pooled cell by cell
  {command} 0001 --decimals 3      down to microseconds, for a GPU
  {command} 0001 --floor           multiples of the roofline bound

A cell is the median latency of a run's calls in milliseconds, or images per second for
runs with --metric throughput. `*` marks a disturbed figure, `-` means no figure. Runs
that differ in machine, versions or settings get separate columns."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--floor", action="store_true", help=_runs.FLOOR)
    _runs.add_table(parser)


def main(arguments: argparse.Namespace) -> None:
    """Print or write the table."""
    table_of = _runs.floors if arguments.floor else _runs.latencies
    _runs.write_table(arguments, partial(table_of, decimals=arguments.decimals))
