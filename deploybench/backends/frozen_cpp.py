"""Frozen TorchScript from C++: the frozen file in a LibTorch process without Python."""

from __future__ import annotations

from ..formats.torchscript import FrozenFile
from ._cpp_process import InCppProcess


class FrozenCpp(InCppProcess):
    """The file that the frozen backend loads in Python."""

    name = "frozen-cpp"
    title = "TorchScript frozen (C++)"
    order = 60
    format = FrozenFile
