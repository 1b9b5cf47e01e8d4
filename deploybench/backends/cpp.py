"""TorchScript from C++: the scripted file in a LibTorch process without Python."""

from __future__ import annotations

from ..formats.torchscript import ScriptedFile
from ._cpp_process import InCppProcess


class Cpp(InCppProcess):
    """The file that the scripted backend loads in Python."""

    name = "cpp"
    title = "TorchScript (C++)"
    order = 20
    default = True
    format = ScriptedFile
