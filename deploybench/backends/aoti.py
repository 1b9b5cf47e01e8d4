"""AOTInductor: exported, compiled ahead of time, packaged, and the package loaded in Python."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ._inductor import PrivateCache
from ._package import ARTIFACT, CHECK_INPUTS, save_package
from .base import Backend, InProcessSession

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..settings import Settings


class Aoti(Backend):
    """A package for inputs of one shape, with its checks of them on."""

    name = "aoti"
    title = "AOTInductor"
    order = 100
    artifact_name = ARTIFACT
    any_batch_size = False

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._cache: PrivateCache | None = None
        os.environ[CHECK_INPUTS] = "1"

    def require(self) -> None:
        """Find the compiler that a package is built with."""
        from ..native_build import find_compiler

        find_compiler()
        self._cache = self._cache or PrivateCache()

    def export(self, module: nn.Module, example: Tensor, path: Path) -> None:
        """Compile `module` and write the package to `path`."""
        save_package(module, example, path)

    def load(self, module: nn.Module, artifact: Path | None) -> InProcessSession:
        """Load the package."""
        import torch._inductor

        return InProcessSession(torch._inductor.aoti_load_package(str(artifact)), self.settings)

    def close(self) -> None:
        """Remove what was compiled on the way."""
        if self._cache is not None:
            self._cache.close()
            self._cache = None
