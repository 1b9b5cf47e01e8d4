#!/usr/bin/env python3
"""Measures the peak memory of a run over many models, against that of the largest model alone.

Both runs use the default backends and the fewest timed calls possible. The peak is the total
resident memory of pytest and its C++ process, sampled ten times a second:

    .venv/bin/python validation/memory.py --models all --alone vit_h_14,regnet_y_128gf
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench import options
from deploybench.models import torchvision_zoo

ROOT = Path(__file__).resolve().parents[1]


def resident(process: psutil.Process) -> int:
    """The resident bytes of a process and its descendants."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        try:
            total += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def run(models: str) -> tuple[float, float, str]:
    """The peak in GiB, the seconds, and pytest's last line, of one run over `models`."""
    command = [sys.executable, "-m", "pytest", "tests/perf", f"--models={models}", "--device=cpu"]
    command += ["--benchmark-min-rounds=1", "--benchmark-max-time=0", "--benchmark-quiet"]
    start, peak = time.perf_counter(), 0
    with tempfile.TemporaryFile("w+") as output:
        started = subprocess.Popen(command, cwd=ROOT, stdout=output)
        process = psutil.Process(started.pid)
        while started.poll() is None:
            peak = max(peak, resident(process))
            time.sleep(0.1)
        output.seek(0)
        last = output.read().strip().splitlines()[-1].strip("= ")
    return peak / 2**30, time.perf_counter() - start, last


def main() -> None:
    """Run both and print their peaks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--models",
        default="all",
        metavar=options.MODELS.metavar,
        help=f"{options.MODELS.help} (default: all)",
    )
    parser.add_argument(
        "--alone",
        default="vit_h_14",
        metavar="NAMES",
        help="models to run separately (default: vit_h_14)",
    )
    arguments = parser.parse_args()
    alone = {}
    for model in torchvision_zoo.select(arguments.alone):
        alone[model], seconds, last = run(model)
        print(f"{model} alone: {alone[model]:.2f} GiB, {seconds:.0f} s, {last}", flush=True)
    peak, seconds, last = run(arguments.models)
    print(f"{arguments.models}: {peak:.2f} GiB, {seconds:.0f} s, {last}")
    print(f"above the largest alone: {peak - max(alone.values()):.2f} GiB")


if __name__ == "__main__":
    main()
