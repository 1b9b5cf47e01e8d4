"""`deploybench table`: the latencies of saved runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from . import _runs
from ._subcommands import READ

if TYPE_CHECKING:
    from ..report.tables import Table

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
  {command} run --metric p90       the percentile instead of the median
  {command} run --format html -o table.html

A cell is the median latency of a run's calls in milliseconds, or images per second for
runs with --metric throughput. `*` marks a disturbed figure, `-` means no figure. Runs
that differ in machine, versions or settings get separate columns.

A percentile is shown only where there are enough calls to claim it at 99% confidence: 64 for
p90, 130 for p95, 662 for p99. More columns than fit the terminal follow in blocks below."""
METRICS = ("median", "p50", "p90", "p95", "p99")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--floor", action="store_true", help=_runs.FLOOR)
    shown.add_argument(
        "--metric",
        choices=METRICS,
        default=METRICS[0],
        help="what a cell shows: the median, or a percentile of all calls of all runs together "
        "(default: median)",
    )
    shown.add_argument(
        "--percentiles",
        action="store_true",
        help="one row per model and backend, with all of these percentiles",
    )
    _runs.add_table(parser)


def main(arguments: argparse.Namespace) -> None:
    """Print or write the table."""
    from ..report import of_runs

    table_of: Callable[..., Table] = partial(of_runs.by_metric, metric=arguments.metric)
    if arguments.floor:
        table_of = of_runs.floors
    elif arguments.percentiles:
        table_of = of_runs.all_percentiles
    _runs.write_table(arguments, partial(table_of, decimals=arguments.decimals))
