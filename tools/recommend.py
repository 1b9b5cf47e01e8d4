#!/usr/bin/env python3
"""Names the fastest backend that gave the right answer for each model, and what it costs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.analysis import recommendation
from deploybench.command import run_command
from deploybench.records import store


def main(arguments: argparse.Namespace) -> None:
    """Print one line per model and a summary."""
    found = recommendation.recommend(store.load(arguments.run, arguments.storage))
    for each in found:
        print(each.line())
    print(recommendation.summary(found))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="recommend",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""\
example:
  python tools/recommend.py 0001 0002

Brackets contain the 95% confidence interval. `~` marks a difference that is not
significant, `*` a disturbed figure.

exit codes:
  0 done
  2 a run cannot be used""",
    )
    parser.add_argument("run", nargs="+", metavar="RUN", help="a saved run, as for merge_perf")
    parser.add_argument(
        "--storage",
        default=".benchmarks",
        metavar="FOLDER",
        help="the folder of saved runs, like pytest's --benchmark-storage (default: .benchmarks)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main, parser()))
