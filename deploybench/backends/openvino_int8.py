"""OpenVINO in int8: the model as ONNX, quantised by NNCF, on the CPU."""

from __future__ import annotations

from pathlib import Path

from ..batches import Batch
from ..formats.nncf_onnx import NncfOnnxFile
from ._openvino import OpenVinoInPython, reduced_work
from .base import ReducedWork


class OpenVinoInt8(OpenVinoInPython):
    """Post-training quantisation by NNCF, as OpenVINO's documentation describes it."""

    name = "openvino-int8"
    title = "OpenVINO (int8)"
    order = 137
    format = NncfOnnxFile
    precision = "int8"

    def reduced_work(self, artifact: Path, example: Batch) -> ReducedWork | None:
        """What the graph that OpenVINO executes has in int8."""
        return reduced_work(artifact, example, self.settings)
