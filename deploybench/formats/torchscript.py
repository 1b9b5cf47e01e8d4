"""TorchScript files: scripted, traced and frozen ones, how they are written and read."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import FileError
from .base import ExportedFormat

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@contextmanager
def without_deprecation_notice() -> Iterator[None]:
    """Silence the notice that TorchScript is deprecated: its users are who this suite is for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.\w+.*")
        yield


class ScriptedFile(ExportedFormat):
    """torch.jit.script, saved."""

    suffix = "scripted.ts"

    def export(self, module: nn.Module, example: Tensor, path: Path) -> Callable[[Tensor], Tensor]:
        """Compile `module` with torch.jit.script, save it to `path` and return it."""
        import torch

        with without_deprecation_notice():
            scripted = torch.jit.script(module)
            torch.jit.save(scripted, str(path))
        return scripted


class TracedFile(ExportedFormat):
    """torch.jit.trace, saved: the operations that one example input ran through."""

    suffix = "traced.ts"

    def export(self, module: nn.Module, example: Tensor, path: Path) -> Callable[[Tensor], Tensor]:
        """Trace `module` with `example`, save it to `path` and return it."""
        import torch

        with without_deprecation_notice(), torch.no_grad():
            # What torch would check of the trace, this suite checks of the answers.
            traced = torch.jit.trace(module, example, check_trace=False, strict=False)
            torch.jit.save(traced, str(path))
        return traced


class FrozenFile(ExportedFormat):
    """torch.jit.freeze of the scripted module, saved: its weights are constants, and folded."""

    suffix = "frozen.ts"

    def export(self, module: nn.Module, example: Tensor, path: Path) -> Callable[[Tensor], Tensor]:
        """Script `module`, freeze it, save it to `path` and return it."""
        import torch

        with without_deprecation_notice():
            frozen = torch.jit.freeze(torch.jit.script(module))
            torch.jit.save(frozen, str(path))
        return frozen

    def forget(self) -> None:
        """Give back the frozen weights, which torch keeps for as long as the process lives.

        None of the frozen programs can be called afterwards; what was loaded from a file can.
        """
        import torch

        # As torch's own tests of TorchScript do between two of them.
        torch._C._jit_clear_class_registry()
        torch.jit._recursive.concrete_type_store = torch.jit._recursive.ConcreteTypeStore()
        torch.jit._state._clear_class_state()
        torch.jit._state._python_cu.drop_all_functions()


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
