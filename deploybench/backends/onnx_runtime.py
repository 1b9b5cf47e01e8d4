"""ONNX Runtime: the model as ONNX, run by exactly one execution provider."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BackendFailed, BackendUnavailable
from ..formats.inductor import one_kind_of_error
from ..formats.onnx import OnnxFile, require_packages
from .base import Backend
from .session import InProcessSession

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from torch import Tensor, nn


def calls_on_device(session: InferenceSession, kind: str) -> Callable[[Tensor], Tensor]:
    """A function that calls `session` on a tensor on its device and leaves the logits there.

    kind: cuda or cpu, the kind of that device.
    """
    import numpy as np
    import torch

    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    binding = session.io_binding()

    def forward(batch: Tensor) -> Tensor:
        batch = batch.contiguous()
        logits = torch.empty(given.shape, dtype=batch.dtype, device=batch.device)
        dtype = np.dtype(str(batch.dtype).removeprefix("torch."))
        if batch.is_cuda:
            # ONNX Runtime has its own stream, which does not wait for torch's.
            torch.cuda.current_stream(batch.device).synchronize()
        for bind, name, tensor in (
            (binding.bind_input, taken.name, batch),
            (binding.bind_output, given.name, logits),
        ):
            index = tensor.device.index or 0
            bind(name, kind, index, dtype, tuple(tensor.shape), tensor.data_ptr())
        with one_kind_of_error():
            session.run_with_iobinding(binding)
        return logits

    return forward


class OnnxRuntime(Backend):
    """A session with one provider and the run's number of threads."""

    name = "onnxruntime"
    title = "ONNX Runtime"
    order = 120
    format = OnnxFile
    # Tensors are passed as NumPy arrays, and NumPy has no bfloat16.
    dtypes = ("float32", "float16")
    channels_last = False
    runtime_packages = ("onnxruntime",)
    allocates_through_torch = False

    def require(self) -> None:
        """Require the packages, and the provider for the run's device."""
        require_packages(self.runtime_packages)
        super().require()
        import onnxruntime

        if self._provider not in onnxruntime.get_available_providers():
            raise BackendUnavailable(
                f"the installed onnxruntime has no {self._provider}: pip install onnxruntime-gpu"
            )

    def load(self, module: nn.Module, artifact: Path | None) -> InProcessSession:
        """Open the file; raises BackendFailed if another provider runs it."""
        import onnxruntime
        import torch

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.settings.threads
        options.log_severity_level = 3
        with one_kind_of_error():
            session = onnxruntime.InferenceSession(
                str(artifact), options, providers=[(self._provider, self._provider_options)]
            )
        if session.get_providers()[0] != self._provider:
            raise BackendFailed(
                f"onnxruntime uses {session.get_providers()[0]} although {self._provider} was "
                "requested"
            )
        if self.settings.on_cuda:
            return InProcessSession(calls_on_device(session, "cuda"), self.settings)
        name = session.get_inputs()[0].name

        def forward(batch: Tensor) -> Tensor | tuple[Tensor, ...]:
            with one_kind_of_error():
                found = session.run(None, {name: batch.cpu().numpy()})
            outputs = tuple(map(torch.from_numpy, found))
            return outputs[0] if len(outputs) == 1 else outputs

        return InProcessSession(forward, self.settings, positional=True)

    @property
    def _provider_options(self) -> dict[str, str]:
        if not self.settings.on_cuda:
            return {}
        index = self.settings.device.partition(":")[2]
        return {"device_id": index, "use_tf32": str(int(self.settings.cudnn_tf32))}

    @property
    def _provider(self) -> str:
        return "CUDAExecutionProvider" if self.settings.on_cuda else "CPUExecutionProvider"
