"""OpenVINO, in this process and in the C++ process, for every backend whose artifact it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..batches import Batch
from ..errors import BackendUnavailable
from ..formats.nncf_onnx import NncfOnnxFile
from ..installation import require_packages
from ..settings import Settings
from ._cpp_process import InCppProcess
from .base import Backend, ReducedWork
from .session import InProcessSession

if TYPE_CHECKING:
    from torch import Tensor, nn

CALLS = 3
"""Of the profile."""
LAYERS = ("Convolution", "Deconvolution", "FullyConnected", "MatMul", "RNNCell")


def require_openvino(settings: Settings) -> None:
    """Raise BackendUnavailable if OpenVINO is not installed, or if the run is on a GPU."""
    require_packages(["openvino"], "openvino")
    if settings.on_cuda:
        raise BackendUnavailable("OpenVINO runs only on CPUs here: run with --device cpu")


def compiled(artifact: Path, settings: Settings, **further: Any) -> Any:
    """The file compiled for this processor.

    Float32 is asked for, because the default may be bfloat16; what a file has in int8 stays int8.
    """
    import openvino

    core = openvino.Core()
    return core.compile_model(
        core.read_model(str(artifact)),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": settings.threads,
            "PERFORMANCE_HINT": "LATENCY",
            **further,
        },
    )


class OpenVinoInPython(Backend):
    """For CPUs only. Requests float32 explicitly, because the default may be bfloat16."""

    dtypes = ("float32",)
    channels_last = False
    runtime_packages = ("openvino",)

    def require(self) -> None:
        """Require the packages and a CPU."""
        require_openvino(self.settings)
        super().require()

    def load(self, module: nn.Module, artifact: Path | None) -> InProcessSession:
        """Compile the file for this processor."""
        import torch

        assert artifact is not None
        request = compiled(artifact, self.settings).create_infer_request()

        def forward(*batch: Tensor) -> Tensor | tuple[Tensor, ...]:
            given = {place: each.numpy() for place, each in enumerate(batch)}
            request.infer(given, share_inputs=True, share_outputs=True)
            # Copied, because the next call writes its logits to the same memory.
            found = [torch.from_numpy(each.data.copy()) for each in request.output_tensors]
            return found[0] if len(found) == 1 else tuple(found)

        return InProcessSession(forward, self.settings, positional=True)


class OpenVinoInCpp(InCppProcess):
    """The same in the C++ process, with the same hints."""

    dtypes = ("float32",)
    channels_last = False
    runtime_packages = ("openvino",)

    def require(self) -> None:
        """Require the packages and a CPU, and build the library that the process opens."""
        from ..native.build import build_target
        from ..native.tools import package_folder

        require_openvino(self.settings)
        super().require()
        build_target("openvino_program", OPENVINO_DIR=package_folder("openvino", "openvino"))


class QuantisedByNncf(Backend):
    """What the int8 backends of OpenVINO share, in Python and in C++: the file and its profile."""

    format = NncfOnnxFile
    precision = "int8"

    def reduced_work(self, artifact: Path, example: Batch) -> ReducedWork | None:
        """What the graph that OpenVINO executes has in int8."""
        return reduced_work(artifact, example, self.settings)


def reduced_work(artifact: Path, example: Batch, settings: Settings) -> ReducedWork:
    """How much of a file is in int8, by the graph that OpenVINO executes."""
    model = compiled(artifact, settings, PERF_COUNT=True)
    request = model.create_infer_request()
    for _ in range(CALLS):
        request.infer({place: each.numpy() for place, each in enumerate(example)})
    layers, spent, total = [], 0.0, 0.0
    for node in model.get_runtime_model().get_ops():
        about = {key: str(node.get_rt_info()[key].astype(str)) for key in _KEYS}
        in_int8 = about["runtimePrecision"] in ("i8", "u8")
        if about["layerType"] in LAYERS:
            layers.append(in_int8)
        if about["execTimeMcs"].isdigit():
            total += int(about["execTimeMcs"])
            spent += in_int8 * int(about["execTimeMcs"])
    return ReducedWork(len(layers), sum(layers), spent / total if total else None)


_KEYS = ("layerType", "runtimePrecision", "execTimeMcs")
