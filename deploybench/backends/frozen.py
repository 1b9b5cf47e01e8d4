"""Frozen TorchScript: weights as folded constants, saved to a file and loaded again."""

from __future__ import annotations

from ..formats.torchscript import FrozenFile
from ._torchscript import TorchScriptInPython


class Frozen(TorchScriptInPython):
    """torch.jit.freeze of the scripted module."""

    name = "frozen"
    title = "TorchScript frozen"
    order = 40
    format = FrozenFile
