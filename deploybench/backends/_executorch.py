"""ExecuTorch, in this process and in the C++ process, for every backend whose artifact it runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..batches import Batch
from ..errors import BackendUnavailable, FileError, first_line
from ..formats.executorch import layers_in_int8
from ..formats.executorch_int8 import ExecuTorchInt8Program
from ..formats.pt2e import silence
from ..settings import Settings
from ._cpp_process import InCppProcess
from .base import Backend, ReducedWork
from .session import InProcessSession

if TYPE_CHECKING:
    from torch import Tensor, nn


def require_cpu(name: str, settings: Settings) -> None:
    """Raise BackendUnavailable if the run is on a GPU."""
    if settings.on_cuda:
        raise BackendUnavailable(f"{name} runs only on CPUs here: run with --device cpu")


class ExecuTorchInPython(Backend):
    """The runtime's own binding, with the run's number of threads. For CPUs only."""

    dtypes = ("float32",)
    channels_last = False
    runtime_packages = ("executorch",)

    def require(self) -> None:
        """Require the packages and a CPU."""
        require_cpu(self.name, self.settings)
        super().require()

    def load(self, module: nn.Module, artifact: Path | None) -> InProcessSession:
        """Load the program and its method. Raises FileError for a file that is no whole one."""
        with silence():
            from executorch.extension.pybindings import portable_lib
            from executorch.runtime import Runtime

        with silence(), _without_its_log():
            if portable_lib._threadpool_get_thread_count() != self.settings.threads:
                portable_lib._unsafe_reset_threadpool(self.settings.threads)
        try:
            program = Runtime.get().load_program(str(artifact))
            method = program.load_method("forward")
        except RuntimeError as error:
            raise FileError(
                f"{artifact} is not a complete ExecuTorch program ({first_line(error)}); "
                "export it again"
            ) from error
        assert method is not None

        def forward(*batch: Tensor) -> Tensor | tuple[Tensor, ...]:
            found = method.execute(batch)
            return found[0] if len(found) == 1 else tuple(found)

        return InProcessSession(forward, self.settings, positional=True)


class ExecuTorchInCpp(InCppProcess):
    """The same in the C++ process, with the runtime in ExecuTorch's wheel."""

    dtypes = ("float32",)
    channels_last = False
    runtime_packages = ("executorch",)

    def require(self) -> None:
        """Require the packages and a CPU, and build the library that the process opens."""
        from ..native.build import build_target
        from ..native.tools import package_folder

        require_cpu(self.name, self.settings)
        super().require()
        folder = package_folder("executorch", "executorch")
        if not (folder / "lib" / "libexecutorch.so").exists():
            raise BackendUnavailable(
                f"{folder} has no lib/libexecutorch.so: install executorch from PyPI's wheel for "
                "Linux on x86-64"
            )
        build_target("executorch_program", EXECUTORCH_DIR=folder)


class QuantisedForXnnpack(Backend):
    """What the int8 backends of ExecuTorch share, in Python and in C++: the file and its layers."""

    format = ExecuTorchInt8Program
    precision = "int8"

    def reduced_work(self, artifact: Path, example: Batch) -> ReducedWork | None:
        """What the graphs that are handed to XNNPACK have in int8; it reports no times."""
        found = layers_in_int8(artifact)
        return ReducedWork(len(found), sum(found))


@contextmanager
def _without_its_log() -> Iterator[None]:
    """A context in which the runtime, which is C++, writes nothing to standard error."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
