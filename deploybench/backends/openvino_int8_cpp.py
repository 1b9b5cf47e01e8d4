"""OpenVINO in int8 from C++: the quantised file in a process without Python."""

from __future__ import annotations

from pathlib import Path

from ..batches import Batch
from ..formats.nncf_onnx import NncfOnnxFile
from ._openvino import OpenVinoInCpp, reduced_work
from .base import ReducedWork


class OpenVinoInt8Cpp(OpenVinoInCpp):
    """The file that the openvino-int8 backend compiles in Python, with the same hints."""

    name = "openvino-int8-cpp"
    title = "OpenVINO (int8, C++)"
    order = 147
    format = NncfOnnxFile
    precision = "int8"

    def reduced_work(self, artifact: Path, example: Batch) -> ReducedWork | None:
        """What the graph that OpenVINO executes has in int8."""
        return reduced_work(artifact, example, self.settings)
