"""ExecuTorch in this process, for every backend whose artifact it runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BackendUnavailable, FileError, first_line
from ..formats.pt2e import silence
from .base import Backend
from .session import InProcessSession

if TYPE_CHECKING:
    from torch import Tensor, nn


class ExecuTorchInPython(Backend):
    """The runtime's own binding, with the run's number of threads. For CPUs only."""

    dtypes = ("float32",)
    channels_last = False
    runtime_packages = ("executorch",)

    def require(self) -> None:
        """Require the packages and a CPU."""
        if self.settings.on_cuda:
            raise BackendUnavailable(f"{self.name} runs only on CPUs here: run with --device cpu")
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
