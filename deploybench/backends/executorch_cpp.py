"""ExecuTorch from C++: the program in a process without Python."""

from __future__ import annotations

from ..formats.executorch import ExecuTorchProgram
from ._executorch import ExecuTorchInCpp


class ExecuTorchCpp(ExecuTorchInCpp):
    """The program that the executorch backend runs in Python, with as many threads."""

    name = "executorch-cpp"
    title = "ExecuTorch (C++)"
    order = 152
    format = ExecuTorchProgram
