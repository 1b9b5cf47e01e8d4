"""ExecuTorch: a program for small devices, whose operators XNNPACK computes, on the CPU."""

from __future__ import annotations

from ..formats.executorch import ExecuTorchProgram
from ._executorch import ExecuTorchInPython


class ExecuTorch(ExecuTorchInPython):
    """The program in float32."""

    name = "executorch"
    title = "ExecuTorch"
    order = 150
    format = ExecuTorchProgram
