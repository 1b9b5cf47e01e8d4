"""TorchScript frozen from C++: the frozen file in a process on LibTorch, with no Python in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ._cpp_process import InCppProcess
from ._torchscript import forget_programs, save_frozen

if TYPE_CHECKING:
    from torch import Tensor, nn


class FrozenCpp(InCppProcess):
    """The file that the frozen backend loads in Python."""

    name = "frozen-cpp"
    title = "TorchScript frozen (C++)"
    order = 60
    artifact_name = "frozen.ts"

    def export(self, module: nn.Module, example: Tensor, path: Path) -> Callable[[Tensor], Tensor]:
        """Script and freeze `module` and save it to `path`."""
        return save_frozen(module, path)

    def forget(self) -> None:
        """Give the constants back."""
        forget_programs()
