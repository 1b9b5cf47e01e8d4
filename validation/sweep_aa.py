#!/usr/bin/env python3
"""Compares figures swept by Ray with figures measured by hand, where nothing differs.

In turns, the models are swept on a Ray cluster of this machine, and measured by `bench`, each in a
process of its own; every other turn begins with the other side. Then the gate compares the two
sides: with all turns, and with each turn left out on each side. The script prints the share of
comparisons in which the gate calls no cell slower or faster, and the ratio of Ray's figures to
those by hand, with a 95% interval over the turns: what the daemons of Ray cost.

    .venv/bin/python validation/sweep_aa.py --models resnet18,squeezenet1_1 --repeats 5

A turn takes about as long as measuring each model twice. Runs that already exist in the folder are
reused, so more repeats can be added later.
"""

from __future__ import annotations

import argparse
import itertools
import math
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.analysis import regression, tolerance
from deploybench.analysis.tolerance import Tolerances
from deploybench.machine import identity, topology
from deploybench.records import reading
from deploybench.records.record import RunRecord

ROOT = Path(__file__).resolve().parents[1]
MODELS = (
    "squeezenet1_1,shufflenet_v2_x0_5,mobilenet_v2,mobilenet_v3_small,mnasnet0_5,resnet18,"
    "regnet_y_400mf,googlenet,alexnet,efficientnet_b0"
)
Runs = list[RunRecord]
"""The runs of one side in one turn."""


def run(words: Sequence[str]) -> None:
    """Run a subcommand of deploybench to its end."""
    command = [sys.executable, "-m", "deploybench", *words]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(f"{' '.join(command)}\n{ended.stdout}{ended.stderr}")


def by_ray(folder: Path, models: Sequence[str], options: Sequence[str]) -> Runs:
    """One saved run of all models, joined from the jobs of a sweep."""
    run(["sweep", "--on=ray", f"--models={','.join(models)}", "-o", str(folder), *options])
    return [reading.read(path) for path in sorted(folder.glob("runs/*.json"))]


def by_hand(folder: Path, models: Sequence[str], options: Sequence[str]) -> Runs:
    """One saved run for each model."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{model}.json" for model in models]
    for model, path in zip(models, paths, strict=True):
        if not path.exists():
            run(["bench", f"--models={model}", f"--benchmark-json={path}", *options])
    return [reading.read(path) for path in paths]


def figures(runs: Runs) -> dict[tuple[str, str], float]:
    """The median latency of each cell, in milliseconds."""
    return {(case.model, case.column): case.latency_ms for each in runs for case in each.cases}


def ratio(hand: Sequence[Runs], ray: Sequence[Runs]) -> str:
    """The geometric mean of Ray's figures over those by hand, with its interval over the turns."""
    from scipy.stats import ttest_1samp

    turns = []
    for one, other in zip(hand, ray, strict=True):
        before, after = figures(one), figures(other)
        assert before.keys() == after.keys(), "the sides have different cells"
        turns.append(fmean(math.log(after[cell] / before[cell]) for cell in before))
    interval = ttest_1samp(turns, 0.0).confidence_interval(0.95)
    low, high = (100 * math.expm1(bound) for bound in interval)
    return f"{100 * math.expm1(fmean(turns)):+.2f}% [{low:+.2f}%, {high:+.2f}%]"


def judge(hand: Sequence[Runs], ray: Sequence[Runs], options: regression.Options) -> list[str]:
    """The verdict of each cell."""
    sides = [list(itertools.chain(*side)) for side in (hand, ray)]
    report = regression.judge_runs(*sides, options)
    for difference in report.differences:
        print(f"the conditions differ: {difference}")
    for cell in report.cells:
        if cell.verdict in (regression.SLOWER, regression.FASTER):
            print(f"  {cell.model} {cell.column}: {cell.verdict} {cell.effect}")
    return [cell.verdict for cell in report.cells]


def compare(hand: Sequence[Runs], ray: Sequence[Runs], options: regression.Options) -> None:
    """Print how often the gate calls a cell different."""
    sides = [[list(side), *_with_one_left_out(side)] for side in (hand, ray)]
    pairs = [(sides[0][0], sides[1][0]), *itertools.product(sides[0][1:], sides[1][1:])]
    comparisons = [judge(*pair, options) for pair in pairs]
    different = [
        sum(verdict in (regression.SLOWER, regression.FASTER) for verdict in verdicts)
        for verdicts in comparisons
    ]
    cells = sum(map(len, comparisons))
    counts = {each: sum(v.count(each) for v in comparisons) for each in regression.VERDICTS}
    without = different.count(0)
    print(
        f"all {len(hand)} turns: {different[0]} of {len(comparisons[0])} cells called different\n"
        f"{len(comparisons)} comparisons, with a turn left out on each side: {without} without a "
        f"different cell ({without / len(different):.0%}), {sum(different)} of {cells} cells "
        f"called different; { {verdict: count for verdict, count in counts.items() if count} }"
    )


def _with_one_left_out(side: Sequence[Runs]) -> list[list[Runs]]:
    return [[*side[:index], *side[index + 1 :]] for index in range(len(side))]


def main() -> None:
    """Measure in turns, then compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "results" / "sweep-aa")
    parser.add_argument("--models", default=MODELS, metavar="NAME,...", help="default: ten")
    parser.add_argument("--backends", default="eager,scripted", metavar="NAME,...")
    parser.add_argument("--device", default="cpu", help="default: cpu")
    parser.add_argument(
        "--repeats", type=int, default=4, metavar="N", help="turns, at least 3 (default: 4)"
    )
    parser.add_argument(
        "--seconds", type=float, default=0.5, help="--benchmark-max-time (default: 0.5)"
    )
    parser.add_argument(
        "--tolerance", default="5%", metavar="SHARE", help="of the gate (default: 5%%)"
    )
    arguments = parser.parse_args()
    if arguments.repeats < 3:
        parser.error("--repeats must be 3 or more, so that two are left where one is left out")
    models = arguments.models.split(",")
    words = [f"--backends={arguments.backends}", f"--device={arguments.device}"]
    words.append(f"--benchmark-max-time={arguments.seconds:g}")
    print(f"{platform.node()}: {identity.cpu_name()}, {len(topology.cores())} cores", flush=True)
    sides: dict[str, list[Runs]] = {"hand": [], "ray": []}
    measure = {"hand": by_hand, "ray": by_ray}
    for turn in range(arguments.repeats):
        for side in ("hand", "ray") if turn % 2 == 0 else ("ray", "hand"):
            started = time.perf_counter()
            found = measure[side](arguments.folder.resolve() / f"{side}-{turn}", models, words)
            sides[side].append(found)
            took = time.perf_counter() - started
            print(f"turn {turn + 1} of {arguments.repeats}, {side}: {took:.0f} s", flush=True)
    options = regression.Options(tolerances=Tolerances(tolerance.parse(arguments.tolerance)))
    compare(sides["hand"], sides["ray"], options)
    print(f"Ray's figures to those by hand: {ratio(sides['hand'], sides['ray'])}")


if __name__ == "__main__":
    main()
