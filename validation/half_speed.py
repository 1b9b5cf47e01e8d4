#!/usr/bin/env python3
"""How many times as fast as eager in float32 the fastest float16 column is, on a GPU.

    deploybench sweep --device cuda --backends eager -o float32
    deploybench sweep --device cuda --dtype float16 --channels-last \\
        --backends eager,cudagraph-cpp,aoti-cpp -o float16
    python validation/half_speed.py --eager float32/runs/*.json --half float16/runs/*.json

Of each model that both have, it prints the medians, their ratio and the fastest column, and the
geometric mean of the ratios. Wrong and failed cases do not count. The two dtypes are two processes,
so the ratios have no interval: eager, whose launches come from Python, differs by a factor of two
between processes on a virtual machine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import geometric_mean

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.errors import DeploybenchError
from deploybench.records import store
from deploybench.records.record import CaseRecord, RunRecord
from deploybench.settings import BASELINE

GOAL = 15.0


def fastest(runs: Sequence[RunRecord], models: Sequence[str]) -> dict[str, CaseRecord]:
    """The case of each model with the least median latency."""
    cases = [case for run in runs for case in run.cases if case.model in models]
    return {
        case.model: case for case in sorted(cases, key=lambda case: case.latency_ms, reverse=True)
    }


def report(eager: Sequence[RunRecord], half: Sequence[RunRecord]) -> list[str]:
    """The table and the mean."""
    single = {case.model: case for run in eager for case in run.cases if case.backend == BASELINE}
    best = fastest(half, list(single))
    lines = ["| Model | PyTorch float32, ms | Fastest float16, ms | Times | Column |"]
    lines.append("| --- | --- | --- | --- | --- |")
    ratios = []
    for model, case in sorted(best.items()):
        ratios.append(single[model].latency_ms / case.latency_ms)
        figures = f"{single[model].latency_ms:.2f} | {case.latency_ms:.3f} | {ratios[-1]:.1f}"
        lines.append(f"| {model} | {figures} | {case.column} |")
    if not ratios:
        return ["no model is in both"]
    mean = geometric_mean(ratios)
    reached = "reached" if mean >= GOAL else "not reached"
    lines += ["", f"{len(ratios)} models: {mean:.1f} times; goal {GOAL:g}: {reached}"]
    return lines


def main() -> None:
    """Read and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--eager", nargs="+", required=True, metavar="FILE", help="in float32")
    parser.add_argument("--half", nargs="+", required=True, metavar="FILE", help="in float16")
    given = parser.parse_args()
    try:
        eager, half = store.load(given.eager), store.load(given.half)
    except DeploybenchError as error:
        parser.error(str(error))
    print("\n".join(report(eager, half)))


if __name__ == "__main__":
    main()
