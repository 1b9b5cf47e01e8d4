#!/usr/bin/env python3
"""Merges saved runs, and logs of the article, into one CSV: models by backends."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.analysis import costs, roofline_bound, speedup, table
from deploybench.command import run_command
from deploybench.files import replacing
from deploybench.records import store
from deploybench.report import article_csv


def main(arguments: argparse.Namespace) -> None:
    """Print or write the CSV."""
    runs = store.load(arguments.run, arguments.storage)
    store.require_other(arguments.output, runs)
    if arguments.costs:
        rows = costs.to_rows(runs, arguments.decimals)
    elif arguments.floor:
        rows = roofline_bound.to_rows(runs, arguments.decimals)
    elif arguments.speedup:
        rows = speedup.to_rows(speedup.compare(runs))
    else:
        rows = table.to_rows(table.merge(runs), table.disturbed(runs), arguments.decimals)
    csv = article_csv.to_csv(rows)
    if arguments.output is None:
        print(csv, end="")
        return
    with replacing(arguments.output) as unfinished:
        unfinished.write_text(csv, encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="merge_perf",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""\
examples:
  python tools/merge_perf.py 0001                     the first saved run
  python tools/merge_perf.py run1                     all runs of --benchmark-save=run1
  python tools/merge_perf.py 0001 0002 -o perf.csv    two runs, pooled cell by cell
  python tools/merge_perf.py 'nightly*'               all runs with such a name, pooled
  python tools/merge_perf.py /mnt/gpu/0001_run1.json  a run saved elsewhere
  python tools/merge_perf.py 0001 --decimals 3        down to microseconds, for a GPU
  python tools/merge_perf.py 0001 --speedup           each backend against eager
  python tools/merge_perf.py 0001 --floor             multiples of the roofline bound
  python tools/merge_perf.py bench_torch.log bench_ts_py.log bench_ts.log

A cell is the median latency of a run's calls in milliseconds, or images per second for
runs with --metric throughput. If several runs have the cell, it is the median of their
medians. `*` marks a disturbed figure, `-` means no figure.

Runs that differ in machine, versions or settings get separate columns, labelled with what
differs. If one run or log cannot be used, nothing is printed or written.

exit codes:
  0 done
  2 a run or log cannot be used""",
    )
    parser.add_argument(
        "run",
        nargs="+",
        metavar="RUN",
        help="a saved run: a path, or a number, name or glob as for `pytest-benchmark compare`; "
        "or the path of a log in the article's #head; format",
    )
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
        help="each cell as a multiple of the roofline bound: the shortest time that the model's "
        "arithmetic, or reading its weights, can take on the device",
    )
    shown.add_argument(
        "--speedup",
        action="store_true",
        help="the speed-up against eager with its 95%% confidence interval, from rounds or, with "
        "several runs, processes; ~ marks a difference that is not significant; the last row is "
        "the geometric mean",
    )
    parser.add_argument(
        "--decimals",
        type=int,
        choices=range(7),
        default=2,
        metavar="N",
        help="decimals of milliseconds and of images per second (default: 2); use 3 for models "
        "that take less than a millisecond",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write the CSV there, not to stdout"
    )
    parser.add_argument(
        "--storage",
        default=".benchmarks",
        metavar="FOLDER",
        help="the folder of saved runs, like pytest's --benchmark-storage (default: .benchmarks)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main, parser()))
