#!/usr/bin/env python3
"""Measures the accuracy of each runtime's sigmoid and mean, which explains different verdicts.

It prints the largest relative errors against float64. The mean is over a whole map, as EfficientNet
and RegNet take it to weigh their channels. The map is flat, like the sky or border of an image;
there, a runtime that adds the numbers one by one rounds in the same direction each time. Needs
requirements-successors.txt.

    .venv/bin/python validation/operations.py
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from torch import Tensor, nn

from deploybench import backends, settings

ONNX_BACKENDS = ("onnxruntime", "openvino")


def relative_error(module: nn.Module, batch: Tensor, answer: Callable[[Tensor], Tensor]) -> float:
    """The largest relative error of `answer`, an implementation of `module`."""
    expected = module(batch.double())
    return ((answer(batch).double() - expected) / expected).abs().max().item()


def through(name: str, module: nn.Module) -> Callable[[Tensor], Tensor]:
    """`module` through the backend `name`, exported again for each batch."""

    def answer(batch: Tensor) -> Tensor:
        backend = backends.registry()[name](settings.resolve("cpu"))
        backend.require()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "artifact"
            backend.export(module, (batch,), path)
            with contextlib.closing(backend.load(module, path)) as session:
                return session.predict((batch,))

    return answer


def compare(words: str, module: nn.Module, batch: Tensor) -> None:
    """Print the error of each runtime."""
    ways = {
        "eager": module,
        "oneDNN": lambda given: module(given.to_mkldnn()).to_dense(),
        "torch.compile": torch.compile(module, dynamic=False),
        **{name: through(name, module) for name in ONNX_BACKENDS},
    }
    errors = (f"{name} {relative_error(module, batch, way):.0e}" for name, way in ways.items())
    print(f"{words:28}", *errors, sep="   ", flush=True)


def main() -> None:
    """Print a line for each operation."""
    for low, high in ((-18.0, -12.0), (-12.0, -6.0), (-6.0, 0.0), (0.0, 10.0)):
        points = torch.linspace(low, high, 4096).reshape(1, -1, 1, 1)
        compare(f"sigmoid of {low:g} to {high:g}", nn.Sigmoid(), points)
    for side in (56, 112, 160, 300):
        flat = torch.full((1, 32, side, side), 0.7)
        compare(f"mean of a flat {side} x {side}", nn.AdaptiveAvgPool2d(1), flat)


if __name__ == "__main__":
    main()
