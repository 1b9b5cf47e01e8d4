"""ExecuTorch in int8: quantised for XNNPACK and calibrated, on the CPU."""

from __future__ import annotations

from pathlib import Path

from ..batches import Batch
from ..formats.executorch import layers_in_int8
from ..formats.executorch_int8 import ExecuTorchInt8Program
from ._executorch import ExecuTorchInPython
from .base import ReducedWork


class ExecuTorchInt8(ExecuTorchInPython):
    """The program in int8."""

    name = "executorch-int8"
    title = "ExecuTorch (int8)"
    order = 157
    format = ExecuTorchInt8Program
    precision = "int8"

    def reduced_work(self, artifact: Path, example: Batch) -> ReducedWork | None:
        """What the graphs that are handed to XNNPACK have in int8; it reports no times."""
        found = layers_in_int8(artifact)
        return ReducedWork(len(found), sum(found))
