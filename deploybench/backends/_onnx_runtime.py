"""ONNX Runtime, for every backend whose artifact it runs by exactly one execution provider."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ..errors import BackendFailed, BackendUnavailable
from ..formats.inductor import one_kind_of_error
from ..installation import require_packages
from .base import Backend
from .session import InProcessSession

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions
    from torch import Tensor, nn


Forward = Callable[..., "Tensor | tuple[Tensor, ...]"]

SPELLED = {"float": "float32", "double": "float64"}
"""ONNX Runtime's names of dtypes where they differ from torch's and NumPy's."""


def calls_on_host(session: InferenceSession) -> Forward:
    """A function that calls `session` on tensors on the CPU, through NumPy."""
    import torch

    names = [each.name for each in session.get_inputs()]

    def forward(*batch: Tensor) -> Tensor | tuple[Tensor, ...]:
        given = {name: each.numpy() for name, each in zip(names, batch, strict=True)}
        with one_kind_of_error():
            found = session.run(None, given)
        return _lone_or_all([torch.from_numpy(each) for each in found])

    return forward


def calls_on_device(session: InferenceSession, kind: str) -> Forward:
    """A function that calls `session` on tensors on its device and leaves the outputs there.

    kind: cuda or cpu, the kind of that device.
    """
    import numpy as np
    import torch

    taken, given = session.get_inputs(), session.get_outputs()
    words = [each.type.removeprefix("tensor(").removesuffix(")") for each in given]
    dtypes = [getattr(torch, SPELLED.get(word, word)) for word in words]
    binding = session.io_binding()

    def forward(*batch: Tensor) -> Tensor | tuple[Tensor, ...]:
        inputs = [each.contiguous() for each in batch]
        device = inputs[0].device
        outputs = [
            torch.empty(each.shape, dtype=dtype, device=device)
            for each, dtype in zip(given, dtypes, strict=True)
        ]
        if device.type == "cuda":
            # ONNX Runtime has its own stream, which does not wait for torch's.
            torch.cuda.current_stream(device).synchronize()
        for bind, ports, tensors in (
            (binding.bind_input, taken, inputs),
            (binding.bind_output, given, outputs),
        ):
            for port, tensor in zip(ports, tensors, strict=True):
                dtype = np.dtype(str(tensor.dtype).removeprefix("torch."))
                shape, index = tuple(tensor.shape), device.index or 0
                bind(port.name, kind, index, dtype, shape, tensor.data_ptr())
        with one_kind_of_error():
            session.run_with_iobinding(binding)
        return _lone_or_all(outputs)

    return forward


def _lone_or_all(outputs: list[Tensor]) -> Tensor | tuple[Tensor, ...]:
    return outputs[0] if len(outputs) == 1 else tuple(outputs)


class OnnxRuntimeInPython(Backend):
    """A session with one provider and the run's number of threads."""

    # Tensors are passed as NumPy arrays, and NumPy has no bfloat16.
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "float16")
    channels_last = False
    runtime_packages = ("onnxruntime",)
    allocates_through_torch = False

    def require(self) -> None:
        """Require the packages, and the provider for the run's device."""
        require_packages(self.runtime_packages, "onnx")
        super().require()
        import onnxruntime

        if self._provider not in onnxruntime.get_available_providers():
            raise BackendUnavailable(
                f"the installed onnxruntime has no {self._provider}: pip install onnxruntime-gpu"
            )

    def load(self, module: nn.Module, artifact: Path | None) -> InProcessSession:
        """Open the file; raises BackendFailed if another provider runs it."""
        import onnxruntime

        with one_kind_of_error():
            session = onnxruntime.InferenceSession(
                str(artifact), self.options(), providers=[(self._provider, self._provider_options)]
            )
        if session.get_providers()[0] != self._provider:
            raise BackendFailed(
                f"onnxruntime uses {session.get_providers()[0]} although {self._provider} was "
                "requested"
            )
        on_cuda = self.settings.on_cuda
        forward = calls_on_device(session, "cuda") if on_cuda else calls_on_host(session)
        return InProcessSession(forward, self.settings, positional=True)

    def options(self) -> SessionOptions:
        """The options of a session: the run's threads, and no warnings."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.settings.threads
        options.log_severity_level = 3
        return options

    @property
    def _provider_options(self) -> dict[str, str]:
        if not self.settings.on_cuda:
            return {}
        index = self.settings.device.partition(":")[2]
        return {"device_id": index, "use_tf32": str(int(self.settings.cudnn_tf32))}

    @property
    def _provider(self) -> str:
        return "CUDAExecutionProvider" if self.settings.on_cuda else "CPUExecutionProvider"
