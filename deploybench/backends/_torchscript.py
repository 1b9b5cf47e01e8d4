"""Writing and reading TorchScript files, for every backend that deploys one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import FileError

if TYPE_CHECKING:
    from torch import Tensor, nn


@contextmanager
def without_deprecation_notice() -> Iterator[None]:
    """Silence the notice that TorchScript is deprecated: its users are who this suite is for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.\w+.*")
        yield


def save_scripted(module: nn.Module, path: Path) -> Callable[[Tensor], Tensor]:
    """Compile `module` with torch.jit.script, save it to `path` and return it."""
    import torch

    with without_deprecation_notice():
        scripted = torch.jit.script(module)
        torch.jit.save(scripted, str(path))
    return scripted


def load_program(path: Path, device: str) -> Callable[[Tensor], Tensor]:
    """Load a TorchScript file onto `device` in evaluation mode.

    Raises FileError for a file that is missing, cut short or not TorchScript.
    """
    import torch

    if not path.is_file():
        raise FileError(f"{path}: no such TorchScript file; write one with tools/generate_ts.py")
    try:
        with without_deprecation_notice():
            program = torch.jit.load(str(path), map_location=device)
    except (RuntimeError, ValueError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise FileError(
            f"{path}: not a whole TorchScript file ({first}); "
            "write it anew with tools/generate_ts.py"
        ) from error
    return program.eval()
