#!/usr/bin/env python3
"""Times Inductor's options in float16 with channels last on a GPU, each within a CUDA graph.

    python validation/inductor_options.py resnet18 mobilenet_v2 > options.txt

It compiles each model once for each set of options, with one image, captures its kernels in a CUDA
graph, and times the graphs in turns, so that the clock of the GPU changes them alike. It prints the
median time of a call, up to the end of the last kernel, how long compiling took, how many kernels a
call has, and the largest difference of a logit from eager's, with the range of eager's logits.
"cuDNN benchmark" lets cuDNN try its algorithms; "fused by cuDNN" is fused_convolutions.py.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torchvision.models import get_model

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from validation.fused_convolutions import with_fused_convolutions

OPTIONS: Mapping[str, Mapping[str, bool]] = {
    "default": {},
    "freezing": {"freezing": True},
    "coordinate descent": {"coordinate_descent_tuning": True},
    "1x1 as products": {"conv_1x1_as_mm": True},
    "max_autotune": {"max_autotune": True},
    "cuDNN benchmark": {},
    "fused by cuDNN": {},
}
ROUNDS, CALLS = 20, 20


def captured(
    compiled: Callable[[Tensor], Tensor], image: Tensor
) -> tuple[torch.cuda.CUDAGraph, Tensor]:
    """A CUDA graph of a call, and where it writes the logits."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            compiled(image)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        logits = compiled(image)
    return graph, logits


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes, up to the end of its last kernel."""
    began = time.perf_counter()
    call()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def kernels(graph: torch.cuda.CUDAGraph) -> int:
    """How many kernels and copies a graph runs."""
    with profile(activities=[ProfilerActivity.CUDA]) as found:
        graph.replay()
        torch.cuda.synchronize()
    return len(found.events())


def compare(name: str, chosen: list[str]) -> None:
    """Print a line for each set of options."""
    torch.manual_seed(0)
    module: nn.Module = get_model(name, weights=None).eval().cuda().half()
    module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.randn(1, 3, 224, 224, device="cuda").half()
    image = image.to(memory_format=torch.channels_last)
    expected = module(image)
    graphs, took, kept = {}, {}, []
    for options in chosen:
        torch.compiler.reset()
        torch.backends.cudnn.benchmark = options == "cuDNN benchmark"
        began = time.perf_counter()
        variant = with_fused_convolutions(module) if options == "fused by cuDNN" else module
        compiled = torch.compile(variant, options=dict(OPTIONS[options]))
        compiled(image)
        took[options] = time.perf_counter() - began
        graphs[options] = captured(compiled, image)
        kept.append(variant)  # a graph reads the weights where they were
    times: dict[str, list[float]] = {options: [] for options in graphs}
    for _ in range(ROUNDS):
        for options, (graph, _) in graphs.items():
            graph.replay()
            times[options] += [seconds(graph.replay) for _ in range(CALLS)]
    spread = (expected.max() - expected.min()).item()
    for options, (graph, logits) in graphs.items():
        graph.replay()
        error = (logits - expected).abs().max().item()
        print(
            f"{name:16} {options:20} {median(times[options]) * 1e3:.3f} ms  "
            f"compiled in {took[options]:.0f} s  {kernels(graph)} kernels  "
            f"error {error:.1e} of {spread:.1e}",
            flush=True,
        )


def main() -> None:
    """Read the arguments, and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="models of torchvision")
    parser.add_argument("--options", default=",".join(OPTIONS), help="default: all")
    given = parser.parse_args()
    for name in given.models:
        with torch.no_grad():
            compare(name, given.options.split(","))


if __name__ == "__main__":
    main()
