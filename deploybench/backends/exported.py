"""torch.export: the exported program, loaded from its archive and called from Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..formats.base import Origin
from ..formats.exported import ExportedProgramFile, load_program
from ..formats.graph_layers import with_layers
from .base import Backend, Observed
from .session import InProcessSession

if TYPE_CHECKING:
    from torch import nn


class Exported(Backend):
    """The graph of ATen operators, run by Python as torch.export gives it; nothing is compiled."""

    name = "exported"
    title = "torch.export"
    order = 98
    format = ExportedProgramFile

    def load(self, module: nn.Module, artifact: Path | None) -> InProcessSession:
        """Load the archive."""
        assert artifact is not None
        return InProcessSession(load_program(artifact).module(), self.settings)

    def observed(self, origin: Origin, artifact: Path | None, folder: Path) -> Observed:
        """Load the archive, with the values of its layers as outputs of its graph."""
        assert artifact is not None
        graph, places = with_layers(load_program(artifact))
        return Observed(InProcessSession(graph, self.settings, positional=True), places)
