"""ONNX Runtime from C++: the ONNX file in a process without Python."""

from __future__ import annotations

from ..formats.onnx import OnnxFile
from ._onnx_runtime import OnnxRuntimeInCpp


class OnnxRuntimeCpp(OnnxRuntimeInCpp):
    """The file that the onnxruntime backend runs in Python, on a CPU, with the same options."""

    name = "onnxruntime-cpp"
    title = "ONNX Runtime (C++)"
    order = 125
    format = OnnxFile
