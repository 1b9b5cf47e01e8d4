"""TorchScript files: writing scripted, traced and frozen ones, and reading them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..batches import Batch
from ..errors import FileError
from .base import ExportedFormat, write

if TYPE_CHECKING:
    import torch
    from torch import nn


@contextmanager
def without_deprecation_notice() -> Iterator[None]:
    """Silence the notice that TorchScript is deprecated, which users of this suite know."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.\w+.*")
        yield


def _save(program: torch.jit.ScriptModule, path: Path) -> None:
    """Write the file of `program`.

    torch writes to memory: where its own writer finds no room, it ends the process.
    """
    write(path, program.save_to_buffer())


class ScriptedFile(ExportedFormat):
    """torch.jit.script, saved."""

    suffix = "scripted.ts"

    def export(self, module: nn.Module, example: Batch, path: Path) -> Callable[..., Any]:
        """Compile `module` with torch.jit.script, save it to `path` and return it."""
        import torch

        _overloads()
        with without_deprecation_notice():
            scripted = torch.jit.script(module)
            _save(scripted, path)
        return scripted


class TracedFile(ExportedFormat):
    """torch.jit.trace, saved: the operations that one example input ran through."""

    suffix = "traced.ts"

    def export(self, module: nn.Module, example: Batch, path: Path) -> Callable[..., Any]:
        """Trace `module` with `example`, save it to `path` and return it."""
        import torch

        with without_deprecation_notice(), torch.no_grad():
            # torch need not check the trace, because this suite checks the answers.
            traced = torch.jit.trace(module, example, check_trace=False, strict=False)
            _save(traced, path)
        return traced


class FrozenFile(ExportedFormat):
    """torch.jit.freeze of the scripted module, saved: its weights are folded constants."""

    suffix = "frozen.ts"

    def export(self, module: nn.Module, example: Batch, path: Path) -> Callable[..., Any]:
        """Script `module`, freeze it, save it to `path` and return it."""
        import torch

        _overloads()
        with without_deprecation_notice():
            frozen = torch.jit.freeze(torch.jit.script(module))
            _save(frozen, path)
        return frozen

    def forget(self) -> None:
        """Free the frozen weights, which torch would keep until the process ends.

        Frozen programs cannot be called afterwards; programs loaded from a file can.
        """
        import torch

        # torch's own tests of TorchScript do the same after each test.
        torch._C._jit_clear_class_registry()
        torch.jit._recursive.concrete_type_store = torch.jit._recursive.ConcreteTypeStore()
        torch.jit._state._clear_class_state()
        torch.jit._state._python_cu.drop_all_functions()
        # Of a function with overloads, such as interpolate, torch keeps only what it compiled.
        torch.jit._state._jit_function_overload_caching.clear()
        torch._jit_internal._overloaded_fns.update(_overloads())


@cache
def _overloads() -> dict[str, list[Callable[..., Any]]]:
    """The functions that torch knows for each overloaded one, until it compiles them."""
    import torch

    return dict(torch._jit_internal._overloaded_fns)


def load_program(path: Path, device: str) -> torch.jit.ScriptModule:
    """Load a TorchScript file onto `device` in evaluation mode.

    Raises FileError for a file that is missing, truncated or not TorchScript.
    """
    import torch

    if not path.is_file():
        raise FileError(
            f"{path} does not exist; write a TorchScript file with tools/generate_ts.py"
        )
    try:
        with without_deprecation_notice():
            program = torch.jit.load(str(path), map_location=device)
    except (RuntimeError, ValueError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise FileError(
            f"{path} is not a complete TorchScript file ({first}); "
            "write it again with tools/generate_ts.py"
        ) from error
    return program.eval()
