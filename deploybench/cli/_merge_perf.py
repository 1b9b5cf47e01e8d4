"""The command line of tools/merge_perf.py."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..records import store
from . import _runs

EPILOG = """\
examples:
  {command} 0001                     the first saved run
  {command} run1                     all runs of --benchmark-save=run1
  {command} 0001 0002 -o perf.csv    two runs, pooled cell by cell
  {command} 'nightly*'               all runs with such a name, pooled
  {command} /mnt/gpu/0001_run1.json  a run saved elsewhere
  {command} 0001 --decimals 3        down to microseconds, for a GPU
  {command} 0001 --speedup           each backend against eager
  {command} 0001 --floor             multiples of the roofline bound
  {command} bench_torch.log bench_ts_py.log bench_ts.log

A cell is the median latency of a run's calls in milliseconds, or images per second for
runs with --metric throughput. If several runs have the cell, it is the median of their
medians. `*` marks a disturbed figure, `-` means no figure.

Runs that differ in machine, versions or settings get separate columns, labelled with what
differs. If one run or log cannot be used, nothing is printed or written.

exit codes:
  0 done
  2 a run or log cannot be used"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("run", nargs="+", metavar="RUN", help=_runs.WHICH)
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        "--costs",
        action="store_true",
        help="one row per model and backend: export and load times, file size, memory growth, "
        "first calls, cold start with its peak memory, and the calls after which the export has "
        "paid off",
    )
    shown.add_argument(
        "--floor",
        action="store_true",
        help=_runs.FLOOR,
    )
    shown.add_argument(
        "--speedup",
        action="store_true",
        help="the speed-up against eager with its 95%% confidence interval, from rounds or, with "
        "several runs, processes; ~ marks a difference that is not significant; the last row is "
        "the geometric mean",
    )
    _runs.add_decimals(parser)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write the CSV there, not to stdout"
    )
    _runs.add_storage(parser)


def main(arguments: argparse.Namespace) -> None:
    """Print or write the CSV."""
    from ..report import article_csv, of_runs

    runs = store.load(arguments.run, arguments.storage)
    store.require_other(arguments.output, runs)
    if arguments.costs:
        table = of_runs.all_costs(runs, arguments.decimals)
    elif arguments.floor:
        table = of_runs.floors(runs, arguments.decimals)
    elif arguments.speedup:
        table = of_runs.speedups(runs)
    else:
        table = of_runs.latencies(runs, arguments.decimals)
    _runs.write(article_csv.write(table), arguments.output)
