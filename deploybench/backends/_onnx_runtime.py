"""ONNX Runtime, in this process and in the C++ process, for every backend with its files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..batches import Batch
from ..errors import BackendFailed, BackendUnavailable
from ..formats.inductor import one_kind_of_error
from ..formats.onnx_int8 import OnnxInt8File
from ..installation import require_packages
from ..settings import Settings
from ..temporary import TemporaryFolder
from ._cpp_process import InCppProcess
from .base import Backend, ReducedWork
from .session import InProcessSession

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions
    from torch import Tensor, nn


Forward = Callable[..., "Tensor | tuple[Tensor, ...]"]

SPELLED = {"float": "float32", "double": "float64"}
"""ONNX Runtime's names of dtypes where they differ from torch's and NumPy's."""
CALLS = 3
"""Of the profile, after one that prepares."""
IN_FLOAT = ("Conv", "Gemm", "MatMul", "ConvTranspose")
IN_INT8 = ("QLinearConv", "QGemm", "QLinearMatMul", "MatMulInteger", "ConvInteger")


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


def options(settings: Settings) -> SessionOptions:
    """The options of a session: the run's threads, and no warnings."""
    import onnxruntime

    found = onnxruntime.SessionOptions()
    found.intra_op_num_threads = settings.threads
    found.log_severity_level = 3
    return found


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
                str(artifact),
                options(self.settings),
                providers=[(self._provider, self._provider_options)],
            )
        if session.get_providers()[0] != self._provider:
            raise BackendFailed(
                f"onnxruntime uses {session.get_providers()[0]} although {self._provider} was "
                "requested"
            )
        on_cuda = self.settings.on_cuda
        forward = calls_on_device(session, "cuda") if on_cuda else calls_on_host(session)
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


class OnnxRuntimeInCpp(InCppProcess):
    """The same in the C++ process, with the same options. For CPUs only."""

    runtime = "onnxruntime"
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "float16")
    channels_last = False
    runtime_packages = ("onnxruntime",)

    def require(self) -> None:
        """Require the packages and a CPU, and build the library that the process opens."""
        from ..native.build import build_target
        from ..native.tools import package_folder

        require_packages(self.runtime_packages, "onnx")
        if self.settings.on_cuda:
            raise BackendUnavailable(
                "ONNX Runtime runs only on CPUs in the C++ process: run with --device cpu"
            )
        super().require()
        folder = package_folder("onnxruntime", "onnx") / "capi"
        library = next(iter(sorted(folder.glob("libonnxruntime.so*"))), None)
        if library is None:
            raise BackendUnavailable(
                f"{folder} has no libonnxruntime.so: install onnxruntime from PyPI's wheel"
            )
        build_target("onnxruntime_program", ONNXRUNTIME_LIBRARY=library)


class QuantisedByOnnxRuntime(Backend):
    """What the int8 backends share, in Python and in C++: the file and its profile."""

    format = OnnxInt8File
    dtypes: ClassVar[tuple[str, ...]] = ("float32",)
    precision = "int8"

    def reduced_work(self, artifact: Path, example: Batch) -> ReducedWork | None:
        """The kernels of a profile of ONNX Runtime, which fuses what it can into int8."""
        import onnxruntime

        with TemporaryFolder() as folder:
            profiled = options(self.settings)
            profiled.enable_profiling = True
            profiled.profile_file_prefix = str(folder / "profile")
            session = onnxruntime.InferenceSession(
                str(artifact), profiled, providers=["CPUExecutionProvider"]
            )
            names = [each.name for each in session.get_inputs()]
            given = {name: each.numpy() for name, each in zip(names, example, strict=True)}
            for _ in range(CALLS):
                session.run(None, given)
            events = json.loads(Path(session.end_profiling()).read_text())
        return work_of(events)


def work_of(events: Iterable[Mapping[str, Any]]) -> ReducedWork:
    """How much is in int8, by the events of a profile."""
    layers: dict[str, bool] = {}
    spent = {True: 0.0, False: 0.0}
    for event in events:
        name = str(event.get("name", ""))
        if event.get("cat") != "Node" or not name.endswith("_kernel_time"):
            continue
        kind = str(event.get("args", {}).get("op_name", ""))
        in_int8 = kind.startswith(IN_INT8)
        spent[in_int8] += float(event.get("dur", 0))
        if in_int8 or kind.removeprefix("Fused").startswith(IN_FLOAT):
            layers[name] = in_int8
    total = sum(spent.values())
    return ReducedWork(len(layers), sum(layers.values()), spent[True] / total if total else None)
