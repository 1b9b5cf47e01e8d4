"""Writing and reading TorchScript files, for every backend that deploys one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import FileError

if TYPE_CHECKING:
    import torch
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


def load_program(path: Path, device: str) -> torch.jit.ScriptModule:
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


def save_frozen(module: nn.Module, path: Path) -> Callable[[Tensor], Tensor]:
    """Script `module`, freeze it (its weights become constants), save it to `path`, return it."""
    import torch

    with without_deprecation_notice():
        frozen = torch.jit.freeze(torch.jit.script(module))
        torch.jit.save(frozen, str(path))
    return frozen


def forget_programs() -> None:
    """Give back what torch keeps of every program that was scripted, as frozen weights.

    None of them can be called afterwards; what was loaded from a file can.
    """
    import torch

    # As torch's own tests of TorchScript do between two of them.
    torch._C._jit_clear_class_registry()
    torch.jit._recursive.concrete_type_store = torch.jit._recursive.ConcreteTypeStore()
    torch.jit._state._clear_class_state()
    torch.jit._state._python_cu.drop_all_functions()
