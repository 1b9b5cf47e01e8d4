"""OpenVINO: the model as ONNX, compiled for the CPU in float32."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..formats.onnx import OnnxFile
from ._openvino import require_openvino
from .base import Backend
from .session import InProcessSession

if TYPE_CHECKING:
    from torch import Tensor, nn


class OpenVino(Backend):
    """For CPUs only. Requests float32 explicitly, because the default may be bfloat16."""

    name = "openvino"
    title = "OpenVINO"
    order = 130
    format = OnnxFile
    dtypes = ("float32",)
    channels_last = False
    runtime_packages = ("openvino",)

    def require(self) -> None:
        """Require the packages and a CPU."""
        require_openvino(self.settings)
        super().require()

    def load(self, module: nn.Module, artifact: Path | None) -> InProcessSession:
        """Compile the file for this processor."""
        import openvino
        import torch

        core = openvino.Core()
        compiled = core.compile_model(
            core.read_model(str(artifact)),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "f32",
                "INFERENCE_NUM_THREADS": self.settings.threads,
                "PERFORMANCE_HINT": "LATENCY",
            },
        )
        request = compiled.create_infer_request()

        def forward(*batch: Tensor) -> Tensor | tuple[Tensor, ...]:
            given = {place: each.numpy() for place, each in enumerate(batch)}
            request.infer(given, share_inputs=True, share_outputs=True)
            # Copied, because the next call writes its logits to the same memory.
            found = [torch.from_numpy(each.data.copy()) for each in request.output_tensors]
            return found[0] if len(found) == 1 else tuple(found)

        return InProcessSession(forward, self.settings, positional=True)
