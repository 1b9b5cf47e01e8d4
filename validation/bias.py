#!/usr/bin/env python3
"""Measures the bias of the suite: its columns against bare loops around the same calls.

For each model, the eager and cpp columns are measured as in the suite, interleaved with a bare
Python loop and a bare C++ loop (bare_loop.cpp, in a separate process). The script prints the ratio
of the suite's median to the bare one's, with the confidence interval of its mean.

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
# The settings of deploybench/machine/allocator.py, as environment variables of glibc.
KEPT_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}


def bare_python_loop(module: torch.nn.Module, batch: torch.Tensor, calls: int) -> float:
    """The median seconds of `calls` calls."""
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
        """The median seconds of `calls` calls."""
        assert self._process.stdin and self._process.stdout
        print(calls, file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def log_ratios(suite: list[float], bare: list[float]) -> list[float]:
    """For each round, the logarithm of the ratio of the suite's seconds to the bare loop's."""
    return [math.log(one / other) for one, other in zip(suite, bare, strict=True)]


def shown(processes: list[list[float]]) -> str:
    """The mean ratio with its 95% interval, over processes or over the rounds of a single one.

    A process counts with the median of its rounds, because some rounds are disturbed.
    """
    from scipy.stats import ttest_1samp

    units = [median(turns) for turns in processes] if len(processes) > 1 else processes[0]
    interval = ttest_1samp(units, 0.0).confidence_interval(0.95)
    low, high = (100 * math.expm1(bound) for bound in interval)
    return f"{100 * math.expm1(fmean(units)):+.2f}% [{low:+.2f}%, {high:+.2f}%]"


def compare(
    model: str, plan: Plan, bench: Workbench, processes: int, turns: int, calls: int
) -> None:
    """Print the two ratios of one model, over several C++ processes of each kind."""
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
    """For each way to call the model, the median seconds of each round."""
    with (
        bench.case(torchvision_zoo.model(model), "eager") as eager,
        bench.case(torchvision_zoo.model(model), "cpp") as cpp,
    ):
        assert cpp.artifact is not None
        (images,) = eager.prepared.example()
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
            # In random order, so that no way follows a certain other one more often.
            for way in random.sample(list(ways), len(ways)):
                ways[way](1)  # untimed, because the previous way has filled the caches
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
    parser.add_argument("--models", default=MODELS, help="names separated by commas")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument("--batch-size", type=int, default=1, metavar="N", help="default: 1")
    parser.add_argument(
        "--processes", type=int, default=5, metavar="N", help="C++ processes of each kind"
    )
    parser.add_argument("--turns", type=int, default=12, metavar="N", help="rounds per process")
    parser.add_argument(
        "--calls", type=int, default=10, metavar="N", help="calls per round of each way"
    )
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
