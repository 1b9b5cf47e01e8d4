"""TorchScript by tracing: what one example input ran through, saved to a file and loaded again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ._torchscript import load_program, without_deprecation_notice
from .base import Backend, InProcessSession

if TYPE_CHECKING:
    from torch import Tensor, nn


class Traced(Backend):
    """torch.jit.trace."""

    name = "traced"
    title = "TorchScript traced"
    order = 30
    artifact_name = "traced.ts"

    def export(self, module: nn.Module, example: Tensor, path: Path) -> Callable[[Tensor], Tensor]:
        """Trace `module` with `example` and save it to `path`."""
        import torch

        with without_deprecation_notice(), torch.no_grad():
            # What torch would check of the trace, this suite checks of the answers.
            traced = torch.jit.trace(module, example, check_trace=False)
            torch.jit.save(traced, str(path))
        return traced

    def load(self, module: nn.Module, artifact: Path | None) -> InProcessSession:
        """Load the file as one deploys it."""
        assert artifact is not None
        return InProcessSession(load_program(artifact, self.settings.device), self.settings)
