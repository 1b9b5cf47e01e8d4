"""ONNX Runtime in int8: the model as ONNX, quantised and calibrated, on the CPU."""

from __future__ import annotations

from ..errors import BackendUnavailable
from ._onnx_runtime import OnnxRuntimeInPython, QuantisedByOnnxRuntime


class OnnxRuntimeInt8(QuantisedByOnnxRuntime, OnnxRuntimeInPython):
    """Static quantisation by ONNX Runtime's own tool, with a scale for each channel of a weight."""

    name = "onnxruntime-int8"
    title = "ONNX Runtime (int8)"
    order = 127
    allocates_through_torch = True

    def require(self) -> None:
        """Require the packages and a CPU."""
        super().require()
        if self.settings.on_cuda:
            raise BackendUnavailable(f"{self.name} runs only on CPUs here: run with --device cpu")
