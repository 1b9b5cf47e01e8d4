"""Traced TorchScript: the operations on one example input, saved to a file and loaded again."""

from __future__ import annotations

from ..formats.torchscript import TracedFile
from ._torchscript import TorchScriptInPython


class Traced(TorchScriptInPython):
    """torch.jit.trace."""

    name = "traced"
    title = "TorchScript traced"
    order = 30
    format = TracedFile
