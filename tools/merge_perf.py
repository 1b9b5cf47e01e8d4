#!/usr/bin/env python3
"""Merges saved runs, and the article's logs, into one CSV: models by backends."""

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
    """Print the CSV, or write it."""
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
  python tools/merge_perf.py 0001                       the run saved first
  python tools/merge_perf.py run1                       the run saved by --benchmark-save=run1
  python tools/merge_perf.py 0001 0002 -o perf.csv      two runs, pooled cell by cell
  python tools/merge_perf.py 'nightly*'                 all runs so named, pooled
  python tools/merge_perf.py /mnt/gpu/0001_run1.json    a run saved elsewhere
  python tools/merge_perf.py 0001 --decimals 3          microseconds, for a GPU's figures
  python tools/merge_perf.py 0001 --speedup             each backend against eager
  python tools/merge_perf.py 0001 --floor               each cell against the least time possible
  python tools/merge_perf.py bench_torch.log bench_ts_py.log bench_ts.log

A cell is the median of a run's calls, in milliseconds, or in images per second of runs with
--metric throughput; where several runs hold it, the median of their medians. * marks a figure that
other work on the machine got in the way of.
Runs that differ in machine, versions or settings get columns of their own, labelled with what
differs. `-` means no figure. If one run or log cannot be used, nothing is printed or written.
exit codes: 0 done, 2 a run or log cannot be used""",
    )
    parser.add_argument(
        "run",
        nargs="+",
        metavar="RUN",
        help="a saved run (a path, or its number, name or glob as `pytest-benchmark compare` "
        "takes it), or the path of a log in the article's #head; format",
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        "--costs",
        action="store_true",
        help="a row per model and backend: seconds to export and load, MiB of the file and by how "
        "much the run's memory grew, the first calls, a cold start and its peak of memory, and "
        "after how many calls the export has paid",
    )
    shown.add_argument(
        "--floor",
        action="store_true",
        help="each cell as a multiple of the least time that its model's arithmetic, or reading "
        "its weights, can take on the device",
    )
    shown.add_argument(
        "--speedup",
        action="store_true",
        help="how many times faster than eager, with its 95%% interval, from turns or, with "
        "several runs, processes; ~ marks an interval that holds 1; the last row is the geometric "
        "mean",
    )
    parser.add_argument(
        "--decimals",
        type=int,
        choices=range(7),
        default=2,
        metavar="N",
        help="of milliseconds, and images per second, of a call (default: 2); 3 for models that "
        "take less than a millisecond",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: print it")
    parser.add_argument(
        "--storage",
        default=".benchmarks",
        metavar="FOLDER",
        help="where runs are saved, as pytest's --benchmark-storage (default: .benchmarks)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main, parser()))
