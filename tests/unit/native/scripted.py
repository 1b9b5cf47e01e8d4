"""TorchScript files for the tests of the C++ program, and a call of one."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from deploybench.native.process import Runner


class Plain(torch.nn.Module):
    """Ten logits of 12 values."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(12, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.flatten(1))


class NeverEnds(torch.nn.Module):
    """A call that never returns."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while bool((x == x).all()):
            x = x + 1
        return x


def save(module: torch.nn.Module, path: Path) -> Path:
    """Script `module` to `path`."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(module.eval()).save(str(path))
    return path


def called(runner: Runner, module: torch.nn.Module, folder: Path, inputs: object) -> Runner:
    """The runner, after one call of the module with these inputs."""
    runner.load(save(module, folder / "called.ts"))
    runner.put(inputs)
    runner.run(1)
    return runner
