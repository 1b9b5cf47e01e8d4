"""AOTInductor packages: the model compiled ahead of time for inputs of one shape."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from ..batches import Batch
from .base import ExportedFormat, Origin, write
from .graph_layers import with_layers
from .inductor import PrivateCache, one_kind_of_error

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

# Without it, a package returns garbage for an input of another shape.
CHECK_INPUTS = "AOTI_RUNTIME_CHECK_INPUTS"


class AotInductorPackage(ExportedFormat):
    """torch.export, then AOTInductor. Intermediate compiled code is in a private cache."""

    suffix = "aoti.pt2"
    any_batch_size = False
    positional_outputs = True  # in C++; in Python, torch keeps the nesting too

    def __init__(self) -> None:
        self._cache: PrivateCache | None = None

    def require(self) -> None:
        """Require the compiler that builds a package, and a folder that it is loaded from."""
        from ..native.tools import find_compiler, require_loadable

        find_compiler()
        require_loadable()
        self._cache = self._cache or PrivateCache()

    def export(self, module: nn.Module, example: Batch, path: Path) -> None:
        """Export `module` for inputs like `example`, compile it and write the package to `path`."""
        import torch

        with one_kind_of_error(), torch.no_grad():
            _write_package(torch.export.export(module, example), example, path)

    def expose(self, origin: Origin, artifact: Path, target: Path) -> dict[str, int]:
        """Compile the module again, with the values of its layers as outputs of its graph."""
        import torch

        with one_kind_of_error(), torch.no_grad():
            graph, places = with_layers(torch.export.export(origin.module, origin.example))
            _write_package(torch.export.export(graph, origin.example), origin.example, target)
        return places

    def close(self) -> None:
        """Remove the intermediate compiled code."""
        if self._cache is not None:
            self._cache.close()
            self._cache = None


def _write_package(exported: ExportedProgram, example: Batch, path: Path) -> None:
    """Compile a program with an empty cache and write the package to `path`."""
    from torch._inductor import aoti_compile_and_package

    PrivateCache.empty()
    on_cpu = example[0].device.type == "cpu"
    # To memory: where torch's own writer finds no room for a file, it ends the process.
    package = io.BytesIO()
    aoti_compile_and_package(
        exported,
        package_path=package,
        # Folds weights and lays them out once; it has no benefit on a GPU.
        inductor_configs={"freezing": True} if on_cpu else {},
    )
    write(path, package.getbuffer())
