"""OpenVINO: the model as ONNX, compiled for the CPU in float32."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BackendUnavailable
from ._onnx import ARTIFACT, EXPORTER, require_packages, save_onnx
from .base import Backend, InProcessSession

if TYPE_CHECKING:
    from torch import Tensor, nn


class OpenVino(Backend):
    """For CPUs alone. Float32 is asked for by name: it would take bfloat16 where it can."""

    name = "openvino"
    title = "OpenVINO"
    order = 130
    artifact_name = ARTIFACT
    any_batch_size = False
    dtypes = ("float32",)
    channels_last = False
    packages = ("openvino", *EXPORTER)

    def require(self) -> None:
        """Find the packages, and ask for a CPU."""
        require_packages(self.packages)
        if self.settings.on_cuda:
            raise BackendUnavailable("OpenVINO is run on CPUs here: run with --device cpu")

    def export(self, module: nn.Module, example: Tensor, path: Path) -> None:
        """Export `module` to `path`."""
        save_onnx(module, example, path)

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

        def forward(batch: Tensor) -> Tensor:
            request.infer({0: batch.numpy()}, share_inputs=True, share_outputs=True)
            # The next call writes its logits to the same place.
            return torch.from_numpy(request.get_output_tensor().data.copy())

        return InProcessSession(forward, self.settings)
