#!/usr/bin/env python3
"""Counts the errors of the speed gate: false verdicts if nothing differs, and missed slowdowns.

First it saves real runs, one process each: some of the unchanged suite, and some with one cell
slowed down by a backend that waits busily for a share of each call's time. Then it draws sets of
runs from them, without replacement, and judges each pair with the rule of tools/gate.py.

    .venv/bin/python validation/speed_gate.py --folder results/speed-gate --processes 30

Runs that already exist in the folder are reused.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.analysis import regression, tolerance
from deploybench.analysis.tolerance import Tolerances
from deploybench.records import reading
from deploybench.records.record import RunRecord

ROOT = Path(__file__).resolve().parents[1]
SLOWED = ("squeezenet1_1", "PyTorch")

# A pytest plugin that slows one cell down: after each call it waits for a share of the call's time.
PLANT = """
import os, time
from deploybench.backends.session import InProcessSession
from deploybench.backends.eager import Eager

share = float(os.environ["SLOWED_BY"])

class Slowed(InProcessSession):
    def run(self):
        start = time.perf_counter()
        super().run()
        end = time.perf_counter()
        while time.perf_counter() - end < share * (end - start):
            pass

def load(self, module, artifact):
    slowed = type(module).__name__ == "SqueezeNet"
    return (Slowed if slowed else InProcessSession)(module, self.settings)

Eager.load = load
"""


def save_runs(
    folder: Path, models: str, seconds: float, processes: int, slowed_by: float
) -> list[RunRecord]:
    """The runs of `processes` processes; runs that already exist are read."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plant_slow.py").write_text(PLANT)
    command = [sys.executable, "-m", "pytest", "tests/perf", f"--models={models}", "--device=cpu"]
    command.append(f"--benchmark-max-time={seconds:g}")
    environment = {**os.environ, "PYTHONPATH": str(folder.resolve()), "SLOWED_BY": str(slowed_by)}
    paths = [folder / f"slowed-by-{slowed_by:g}-{number}.json" for number in range(processes)]
    for path in paths:
        if not path.exists():
            plant = ["-p", "plant_slow"] if slowed_by else []
            save = [f"--benchmark-json={path.resolve()}", "--benchmark-quiet", *plant]
            subprocess.run(
                [*command, *save],
                cwd=ROOT,
                env=environment,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            print(f"saved {path}", flush=True)
    return [reading.read(path) for path in paths]


def verdicts(
    baseline: Sequence[RunRecord], candidate: Sequence[RunRecord], options: regression.Options
) -> dict[tuple[str, str], str]:
    """The verdict of each cell."""
    report = regression.judge_runs(baseline, candidate, options)
    return {(cell.model, cell.column): cell.verdict for cell in report.cells}


def false_alarms(
    runs: Sequence[RunRecord],
    side: int,
    pairs: int,
    draw: random.Random,
    options: regression.Options,
) -> None:
    """Judge pairs of sets without a difference."""
    counts: Counter[str] = Counter()
    wrong_pairs = 0
    for _ in range(pairs):
        chosen = draw.sample(list(runs), 2 * side)
        found = verdicts(chosen[:side], chosen[side:], options)
        counts.update(found.values())
        wrong_pairs += any(each in ("slower", "faster") for each in found.values())
    cells = sum(counts.values())
    wrong = counts["slower"] + counts["faster"]
    print(
        f"{side} runs a side, nothing differs: {wrong_pairs} of {pairs} pairs with a false "
        f"verdict, {wrong} of {cells} cells; {dict(counts)}"
    )


def sensitivity(
    runs: Sequence[RunRecord],
    slow: Sequence[RunRecord],
    by: float,
    side: int,
    pairs: int,
    draw: random.Random,
    options: regression.Options,
) -> None:
    """Judge pairs whose candidate has the planted slowdown."""
    found: Counter[str] = Counter()
    others = 0
    for _ in range(pairs):
        baseline, candidate = draw.sample(list(runs), side), draw.sample(list(slow), side)
        cells = verdicts(baseline, candidate, options)
        found.update([cells.pop(SLOWED)])
        others += any(each in ("slower", "faster") for each in cells.values())
    print(
        f"{side} runs a side, {by:.0%} slower: called slower in {found['slower']} of {pairs}; "
        f"{dict(found)}; another cell called slower or faster in {others}"
    )


def main() -> None:
    """Save the runs, then judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "results" / "speed-gate")
    parser.add_argument("--models", default="squeezenet1_1,shufflenet_v2_x0_5,mobilenet_v3_small")
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="--benchmark-max-time of the runs (default: 2)"
    )
    parser.add_argument(
        "--processes", type=int, default=30, metavar="N", help="unchanged runs (default: 30)"
    )
    parser.add_argument(
        "--slow-processes", type=int, default=12, metavar="N", help="slow runs (default: 12)"
    )
    parser.add_argument(
        "--slowed-by", default="0.1,0.03", metavar="SHARE,...", help="shares of a call's time"
    )
    parser.add_argument(
        "--tolerance", default="5%", metavar="SHARE", help="of the gate (default: 5%%)"
    )
    parser.add_argument("--side", default="5", metavar="N,...", help="runs a side (default: 5)")
    parser.add_argument("--pairs", type=int, default=200, metavar="N", help="default: 200")
    arguments = parser.parse_args()
    draw = random.Random(0)
    sides = [int(side) for side in arguments.side.split(",")]
    options = regression.Options(tolerances=Tolerances(tolerance.parse(arguments.tolerance)))
    measured = arguments.folder, arguments.models, arguments.seconds
    runs = save_runs(*measured, arguments.processes, 0)
    for side in (side for side in sides if 2 * side <= len(runs)):
        false_alarms(runs, side, arguments.pairs, draw, options)
    for by in (float(share) for share in arguments.slowed_by.split(",")):
        slow = save_runs(*measured, arguments.slow_processes, by)
        for side in sides:
            sensitivity(runs, slow, by, min(side, len(slow)), arguments.pairs, draw, options)


if __name__ == "__main__":
    main()
