"""Packages of AOTInductor, for every backend that deploys one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ._inductor import PrivateCache, one_kind_of_error

if TYPE_CHECKING:
    from torch import Tensor, nn

ARTIFACT = "aoti.pt2"
# Without it a package answers an input that it was not made for with garbage.
CHECK_INPUTS = "AOTI_RUNTIME_CHECK_INPUTS"


def save_package(module: nn.Module, example: Tensor, path: Path) -> None:
    """Export `module` for inputs like `example`, compile it and write the package to `path`."""
    import torch
    from torch._inductor import aoti_compile_and_package

    PrivateCache.empty()
    on_cpu = example.device.type == "cpu"
    with one_kind_of_error(), torch.no_grad():
        exported = torch.export.export(module, (example,))
        aoti_compile_and_package(
            exported,
            package_path=str(path),
            # Folds weights and lays them out once; on a GPU it gains nothing.
            inductor_configs={"freezing": True} if on_cpu else {},
        )
