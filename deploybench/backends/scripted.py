"""TorchScript from Python: torch.jit.script, saved to a file and loaded again."""

from __future__ import annotations

from ..formats.torchscript import ScriptedFile
from ._torchscript import TorchScriptInPython


class Scripted(TorchScriptInPython):
    """The file that the cpp backend runs in C++, loaded in this process."""

    name = "scripted"
    title = "TorchScript (Python)"
    order = 10
    default = True
    format = ScriptedFile
