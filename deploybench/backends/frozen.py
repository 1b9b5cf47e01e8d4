"""TorchScript frozen: weights turned to constants and folded, saved to a file and loaded again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ._torchscript import forget_programs, load_program, save_frozen
from .base import Backend, InProcessSession

if TYPE_CHECKING:
    from torch import Tensor, nn


class Frozen(Backend):
    """torch.jit.freeze of the scripted module."""

    name = "frozen"
    title = "TorchScript frozen"
    order = 40
    artifact_name = "frozen.ts"

    def export(self, module: nn.Module, example: Tensor, path: Path) -> Callable[[Tensor], Tensor]:
        """Script and freeze `module` and save it to `path`."""
        return save_frozen(module, path)

    def load(self, module: nn.Module, artifact: Path | None) -> InProcessSession:
        """Load the file as one deploys it."""
        assert artifact is not None
        return InProcessSession(load_program(artifact, self.settings.device), self.settings)

    def forget(self) -> None:
        """Give the constants back."""
        forget_programs()
