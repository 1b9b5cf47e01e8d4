"""ONNX Runtime: the model as ONNX, run by exactly one execution provider."""

from __future__ import annotations

from ..formats.onnx import OnnxFile
from ._onnx_runtime import OnnxRuntimeInPython


class OnnxRuntime(OnnxRuntimeInPython):
    """A session with one provider and the run's number of threads."""

    name = "onnxruntime"
    title = "ONNX Runtime"
    order = 120
    format = OnnxFile
