"""Eager PyTorch: the module, called from Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..settings import BASELINE
from .base import Backend
from .session import InProcessSession

if TYPE_CHECKING:
    from torch import nn


class Eager(Backend):
    """The baseline of every comparison; it has no artifact."""

    name = BASELINE
    title = "PyTorch"
    order = 0
    default = True

    def load(self, module: nn.Module, artifact: Path | None) -> InProcessSession:
        """Open a session on the module itself."""
        return InProcessSession(module, self.settings)
