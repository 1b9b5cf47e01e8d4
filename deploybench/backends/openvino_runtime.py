"""OpenVINO: the model as ONNX, compiled for the CPU in float32."""

from __future__ import annotations

from ..formats.onnx import OnnxFile
from ._openvino import OpenVinoInPython


class OpenVino(OpenVinoInPython):
    """For CPUs only. Requests float32 explicitly, because the default may be bfloat16."""

    name = "openvino"
    title = "OpenVINO"
    order = 130
    format = OnnxFile
