"""AOTInductor from C++: the same package in a process on LibTorch, with no Python in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ._cpp_process import InCppProcess
from ._inductor import PrivateCache
from ._package import ARTIFACT, save_package

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..settings import Settings


class AotiCpp(InCppProcess):
    """The package that the aoti backend loads in Python."""

    name = "aoti-cpp"
    title = "AOTInductor (C++)"
    order = 110
    artifact_name = ARTIFACT
    any_batch_size = False
    allocates_through_torch = False  # a package's weights come from CUDA itself
    as_graph = True

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._cache: PrivateCache | None = None

    def require(self) -> None:
        """Build the C++ program if that is still to be done."""
        super().require()
        self._cache = self._cache or PrivateCache()

    def export(self, module: nn.Module, example: Tensor, path: Path) -> None:
        """Compile `module` and write the package to `path`."""
        save_package(module, example, path)

    def close(self) -> None:
        """End the process and remove what was compiled on the way."""
        super().close()
        if self._cache is not None:
            self._cache.close()
            self._cache = None
