#!/usr/bin/env python3
"""What the suite's way of measuring adds: its columns against bare loops around the same calls.

For each model the eager and the cpp column are measured as the suite does it, in turn with a bare
Python loop and a bare C++ loop (bare_loop.cpp, a process of its own), many times over; printed is
the ratio of the suite's median to the bare one's, with the interval of its mean over the turns.

    .venv/bin/python validation/bias.py
    .venv/bin/python validation/bias.py --device cuda
"""

from __future__ import annotations

import argparse
import math
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean, median

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench import settings
from deploybench.models import torchvision_zoo, weights
from deploybench.native.build import BUILD, build_target, ensure_runner
from deploybench.native.process import scrubbed_environment
from deploybench.runner.prepared_model import Plan
from deploybench.runner.workbench import Workbench

MODELS = "alexnet,mobilenet_v2,resnet18,resnet50,squeezenet1_1"
# What deploybench/machine/allocator.py sets, as glibc takes it from the environment of any program.
KEPT_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}


def bare_python_loop(module: torch.nn.Module, batch: torch.Tensor, calls: int) -> float:
    """Median seconds of `calls` calls."""
    seconds = []
    with torch.inference_mode():
        for _ in range(calls):
            if batch.is_cuda:
                torch.cuda.synchronize()
            start = time.perf_counter()
            module(batch)
            if batch.is_cuda:
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - start)
    return median(seconds)


class BareLoop:
    """The C++ loop as a process."""

    def __init__(self, file: Path, batch: torch.Tensor, plan: Plan) -> None:
        given = file.with_suffix(".input")
        batch.numpy().tofile(given)
        command = [str(BUILD / "bare_loop"), str(file), str(given), plan.settings.device]
        command += [str(plan.settings.threads), str(batch.shape[-1]), str(plan.batch_size)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**scrubbed_environment(), **KEPT_MEMORY},
        )

    def __call__(self, calls: int) -> float:
        """Median seconds of `calls` calls."""
        assert self._process.stdin and self._process.stdout
        print(calls, file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def log_ratios(suite: list[float], bare: list[float]) -> list[float]:
    """Of each turn, the logarithm of how many times longer the suite's calls took."""
    return [math.log(one / other) for one, other in zip(suite, bare, strict=True)]


def shown(processes: list[list[float]]) -> str:
    """The mean ratio with its 95% interval, over processes or over the turns of a single one.

    A process counts with the median of its turns, since some turns are disturbed.
    """
    from scipy.stats import ttest_1samp

    units = [median(turns) for turns in processes] if len(processes) > 1 else processes[0]
    interval = ttest_1samp(units, 0.0).confidence_interval(0.95)
    low, high = (100 * math.expm1(bound) for bound in interval)
    return f"{100 * math.expm1(fmean(units)):+.2f}% [{low:+.2f}%, {high:+.2f}%]"


def compare(
    model: str, plan: Plan, bench: Workbench, processes: int, turns: int, calls: int
) -> None:
    """Print one model's two ratios; each of the C++ processes is as lucky as it happens to be."""
    python, native = list[list[float]](), list[list[float]]()
    for _ in range(processes):
        bench.backend("cpp").close()  # the next case gets a fresh process
        seconds = take_turns(model, plan, bench, turns, calls)
        python.append(log_ratios(seconds["eager"], seconds["bare Python loop"]))
        native.append(log_ratios(seconds["cpp"], seconds["bare C++ loop"]))
    print(
        f"{model:16} {1e3 * median(seconds['eager']):8.3f} ms eager {shown(python)}   "
        f"{1e3 * median(seconds['cpp']):8.3f} ms cpp {shown(native)}",
        flush=True,
    )


def take_turns(
    model: str, plan: Plan, bench: Workbench, turns: int, calls: int
) -> dict[str, list[float]]:
    """By way of calling the model, the median seconds of each turn."""
    with (
        bench.case(torchvision_zoo.model(model), "eager") as eager,
        bench.case(torchvision_zoo.model(model), "cpp") as cpp,
    ):
        assert cpp.artifact is not None
        images = eager.prepared.inputs[: plan.batch_size]
        bare_cpp = BareLoop(cpp.artifact.path, images, plan)
        batch = images.to(plan.settings.device)
        ways = {
            "eager": lambda count: median(eager.session.timed(count)),
            "bare Python loop": lambda count: bare_python_loop(eager.prepared.module, batch, count),
            "cpp": lambda count: median(cpp.session.timed(count)),
            "bare C++ loop": bare_cpp,
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(turns + 2):
            # In any order, so that none follows itself, or the same other, more often.
            for way in random.sample(list(ways), len(ways)):
                ways[way](1)  # whoever had the turn before left the caches his
                found = ways[way](calls)
                if turn >= 2:
                    seconds[way].append(found)
        bare_cpp.close()
        return seconds


def main() -> None:
    """Build the bare loop and compare each model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--processes", type=int, default=5, help="C++ processes of each kind")
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--calls", type=int, default=10)
    arguments = parser.parse_args()
    ensure_runner()
    build_target("bare_loop")
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(
            settings.resolve(arguments.device),
            weights.parse("random"),
            arguments.batch_size,
            inputs=1,
            keep=Path(folder),
        )
        with Workbench(plan) as bench:
            for model in torchvision_zoo.select(arguments.models):
                compare(model, plan, bench, arguments.processes, arguments.turns, arguments.calls)


if __name__ == "__main__":
    main()
