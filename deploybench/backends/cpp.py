"""TorchScript from C++: the scripted file in a process on LibTorch that has no Python in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ._cpp_process import InCppProcess
from ._torchscript import save_scripted

if TYPE_CHECKING:
    from torch import Tensor, nn


class Cpp(InCppProcess):
    """The file that the scripted backend loads in Python."""

    name = "cpp"
    title = "TorchScript (C++)"
    order = 20
    artifact_name = "scripted.ts"

    def export(self, module: nn.Module, example: Tensor, path: Path) -> Callable[[Tensor], Tensor]:
        """Script `module` and save it to `path`."""
        return save_scripted(module, path)
