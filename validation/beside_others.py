#!/usr/bin/env python3
"""Compares a backend's latency beside other backends with that beside eager alone.

    python validation/beside_others.py resnet18 --backends onnxruntime-cpp,openvino-cpp --rounds 3

Each round measures every backend in a run of its own, together with eager, and then all in one run.
For each model and backend, the script prints both medians of the rounds' medians, in milliseconds,
and the ratio of the latency beside the others to that alone: the geometric mean over the rounds,
and the least and the largest. A ratio beyond the machine's noise means that the backends of a run
disturb each other.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import geometric_mean, median
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
Medians = dict[tuple[str, str], float]


def measured(models: str, backends: list[str]) -> Medians:
    """The median milliseconds of each model and backend in one run."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "deploybench", "bench", "--models", models]
        command += ["--backends", ",".join(["eager", *backends]), f"--benchmark-storage={folder}"]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        (saved,) = Path(folder).rglob("*.json")
        cases = json.loads(saved.read_text())["benchmarks"]
    return {
        (case["params"]["model"], case["params"]["backend"]): 1e3 * case["stats"]["median"]
        for case in cases
    }


def main() -> None:
    """Measure, and print a line for each model and backend."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", metavar="MODELS", help="as for --models")
    parser.add_argument("--backends", required=True, help="two or more, without eager")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    backends = given.backends.split(",")
    alone: list[Medians] = []
    beside: list[Medians] = []
    for number in range(given.rounds):
        together = measured(given.models, backends) if number % 2 else None  # in turns
        found: Medians = {}
        for backend in backends:
            found |= measured(given.models, [backend])
        alone.append(found)
        beside.append(together or measured(given.models, backends))
    common = set.intersection(*(set(medians) for medians in (*alone, *beside)))
    for case in sorted(case for case in common if case[1] != "eager"):
        pairs = [(one[case], other[case]) for one, other in zip(alone, beside, strict=True)]
        ratios = [other / one for one, other in pairs]
        print(
            f"{case[0]:20} {case[1]:16} alone {median(one for one, _ in pairs):7.2f} ms, "
            f"beside the others {median(other for _, other in pairs):7.2f} ms: "
            f"{geometric_mean(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
