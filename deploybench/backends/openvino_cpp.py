"""OpenVINO from C++: the ONNX file in a process without Python."""

from __future__ import annotations

from ..formats.onnx import OnnxFile
from ._openvino import OpenVinoInCpp


class OpenVinoCpp(OpenVinoInCpp):
    """The file that the openvino backend compiles in Python, with the same hints."""

    name = "openvino-cpp"
    title = "OpenVINO (C++)"
    order = 140
    format = OnnxFile
