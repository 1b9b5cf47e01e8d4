"""Frozen TorchScript, captured once in a CUDA graph and replayed, in the C++ process."""

from __future__ import annotations

from ..formats.torchscript import FrozenFile
from ._cpp_process import InCppProcess


class CudaGraphCpp(InCppProcess):
    """For GPUs only."""

    name = "cudagraph-cpp"
    title = "CUDA graph (C++)"
    order = 95
    format = FrozenFile
    as_graph = True
    one_program = False  # each shape is captured by itself

    def require(self) -> None:
        """Build the C++ program, and require a GPU and CUDA's headers."""
        super().require()
        self.require_graphs()
