"""TorchScript from Python: torch.jit.script, saved to a file and loaded again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ._torchscript import load_program, save_scripted
from .base import Backend, InProcessSession

if TYPE_CHECKING:
    from torch import Tensor, nn


class Scripted(Backend):
    """The file that the C++ process runs too, loaded in this process."""

    name = "scripted"
    title = "TorchScript (Python)"
    order = 10
    artifact_name = "scripted.ts"

    def export(self, module: nn.Module, example: Tensor, path: Path) -> Callable[[Tensor], Tensor]:
        """Script `module` and save it to `path`."""
        return save_scripted(module, path)

    def load(self, module: nn.Module, artifact: Path | None) -> InProcessSession:
        """Load the file as one deploys it."""
        assert artifact is not None
        return InProcessSession(load_program(artifact, self.settings.device), self.settings)
