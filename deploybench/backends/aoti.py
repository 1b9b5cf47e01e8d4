"""AOTInductor: exported, compiled ahead of time, packaged, and the package loaded in Python."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .. import processes
from ..errors import BackendFailed
from ..formats.aotinductor import CHECK_INPUTS, AotInductorPackage
from .base import Backend
from .session import InProcessSession

if TYPE_CHECKING:
    from torch import nn

    from ..settings import Settings


LOAD = "import sys, torch._inductor; torch._inductor.aoti_load_package(sys.argv[1])"
DEADLINE_SECONDS = 300.0


class Aoti(Backend):
    """A package for inputs of one shape, with its input checks on."""

    name = "aoti"
    title = "AOTInductor"
    order = 100
    format = AotInductorPackage
    allocates_through_torch = False  # a package's weights come from CUDA itself

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._crash: str | None = None
        os.environ[CHECK_INPUTS] = "1"

    def load(self, module: nn.Module, artifact: Path | None) -> InProcessSession:
        """Load the package."""
        import torch._inductor

        if self.settings.on_cuda:
            self._try_elsewhere(str(artifact))
        return InProcessSession(torch._inductor.aoti_load_package(str(artifact)), self.settings)

    def _try_elsewhere(self, artifact: str) -> None:
        """Load a package in another process first, once per run.

        With torch 2.11 on CUDA, loading one was seen to crash the process, which here is the whole
        run.
        """
        if self._crash is None:
            command = [sys.executable, "-c", LOAD, artifact]
            code = processes.run(command, DEADLINE_SECONDS).returncode
            self._crash = signal.Signals(-code).name if code < 0 else ""
        if self._crash:
            raise BackendFailed(
                f"loading a package crashes Python here ({self._crash}); "
                "aoti-cpp runs the same package without Python"
            )
