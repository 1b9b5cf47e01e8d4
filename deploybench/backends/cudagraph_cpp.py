"""A CUDA graph from C++: the frozen TorchScript file, captured once and replayed without Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ._cpp_process import InCppProcess
from ._torchscript import forget_programs, save_frozen

if TYPE_CHECKING:
    from torch import Tensor, nn


class CudaGraphCpp(InCppProcess):
    """For GPUs alone."""

    name = "cudagraph-cpp"
    title = "CUDA graph (C++)"
    order = 95
    artifact_name = "frozen.ts"
    as_graph = True

    def require(self) -> None:
        """Build the C++ program, and ask for a GPU and for CUDA's headers."""
        super().require()
        self.require_graphs()

    def export(self, module: nn.Module, example: Tensor, path: Path) -> Callable[[Tensor], Tensor]:
        """Freeze `module` and save it to `path`."""
        return save_frozen(module, path)

    def forget(self) -> None:
        """Drop the frozen weights, which torch would keep."""
        forget_programs()
