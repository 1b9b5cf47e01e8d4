"""TorchScript optimized: the frozen file, its operators chosen for inference when it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ._torchscript import forget_programs, load_program, save_frozen, without_deprecation_notice
from .base import Backend, InProcessSession

if TYPE_CHECKING:
    from torch import Tensor, nn


class Optimized(Backend):
    """torch.jit.optimize_for_inference, on each load: its operators cannot be saved."""

    name = "optimized"
    title = "TorchScript optimized"
    order = 50
    artifact_name = "frozen.ts"

    def export(self, module: nn.Module, example: Tensor, path: Path) -> Callable[[Tensor], Tensor]:
        """Script and freeze `module` and save it to `path`."""
        return save_frozen(module, path)

    def load(self, module: nn.Module, artifact: Path | None) -> InProcessSession:
        """Load the file and optimise it."""
        import torch

        assert artifact is not None
        program = load_program(artifact, self.settings.device)
        with without_deprecation_notice():
            program = torch.jit.optimize_for_inference(program)
        return InProcessSession(program, self.settings)

    def forget(self) -> None:
        """Give the constants back."""
        forget_programs()
