"""ExecuTorch in int8 from C++: the quantised program in a process without Python."""

from __future__ import annotations

from ._executorch import ExecuTorchInCpp, QuantisedForXnnpack


class ExecuTorchInt8Cpp(QuantisedForXnnpack, ExecuTorchInCpp):
    """The program that the executorch-int8 backend runs in Python, with as many threads."""

    name = "executorch-int8-cpp"
    title = "ExecuTorch (int8, C++)"
    order = 158
