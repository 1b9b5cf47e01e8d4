"""TorchScript from Python, for every backend that runs its file there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..formats.torchscript import load_program
from .base import Backend
from .session import InProcessSession

if TYPE_CHECKING:
    import torch
    from torch import nn


class TorchScriptInPython(Backend):
    """Loads the file in this process, as in a deployment."""

    def load(self, module: nn.Module, artifact: Path | None) -> InProcessSession:
        """Load the file onto the run's device."""
        assert artifact is not None
        program = self.prepared(load_program(artifact, self.settings.device))
        return InProcessSession(program, self.settings)

    def prepared(self, program: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
        """The program to call: the loaded one, unless a backend transforms it."""
        return program
