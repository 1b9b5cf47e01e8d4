"""ONNX Runtime in int8: the model as ONNX, quantised and calibrated, on the CPU."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..batches import Batch
from ..errors import BackendUnavailable
from ..formats.onnx_int8 import OnnxInt8File
from ..temporary import TemporaryFolder
from ._onnx_runtime import OnnxRuntimeInPython
from .base import ReducedWork

CALLS = 3
"""Of the profile, after one that prepares."""
IN_FLOAT = ("Conv", "Gemm", "MatMul", "ConvTranspose")
IN_INT8 = ("QLinearConv", "QGemm", "QLinearMatMul", "MatMulInteger", "ConvInteger")


class OnnxRuntimeInt8(OnnxRuntimeInPython):
    """Static quantisation by ONNX Runtime's own tool, with a scale for each channel of a weight."""

    name = "onnxruntime-int8"
    title = "ONNX Runtime (int8)"
    order = 127
    format = OnnxInt8File
    dtypes = ("float32",)
    allocates_through_torch = True
    precision = "int8"

    def require(self) -> None:
        """Require the packages and a CPU."""
        super().require()
        if self.settings.on_cuda:
            raise BackendUnavailable(f"{self.name} runs only on CPUs here: run with --device cpu")

    def reduced_work(self, artifact: Path, example: Batch) -> ReducedWork | None:
        """The kernels of a profile of ONNX Runtime, which fuses what it can into int8."""
        import onnxruntime

        with TemporaryFolder() as folder:
            options = self.options()
            options.enable_profiling = True
            options.profile_file_prefix = str(folder / "profile")
            session = onnxruntime.InferenceSession(
                str(artifact), options, providers=["CPUExecutionProvider"]
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
