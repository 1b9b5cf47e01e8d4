"""ONNX Runtime in int8 from C++: the quantised file in a process without Python."""

from __future__ import annotations

from ._onnx_runtime import OnnxRuntimeInCpp, QuantisedByOnnxRuntime


class OnnxRuntimeInt8Cpp(QuantisedByOnnxRuntime, OnnxRuntimeInCpp):
    """The file that the onnxruntime-int8 backend runs in Python, with the same options."""

    name = "onnxruntime-int8-cpp"
    title = "ONNX Runtime (int8, C++)"
    order = 128
