"""ONNX files in int8, as NNCF quantises them for OpenVINO."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..batches import Batch
from ..temporary import TemporaryFolder
from .base import Calibration
from .inductor import one_kind_of_error
from .onnx import OnnxFile
from .onnx_int8 import input_names, place, quiet
from .quantised_onnx import QuantisedOnnxFile

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class _Inputs:
    """The batches by the names of the file's inputs, as NNCF iterates over them."""

    names: list[str]
    calibration: Calibration

    def __len__(self) -> int:
        return self.calibration.count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self.calibration.batches():
            yield {name: each.numpy() for name, each in zip(self.names, batch, strict=True)}


class NncfOnnxFile(QuantisedOnnxFile):
    """`nncf.quantize` of the ONNX file, for a CPU, with its defaults and all inputs."""

    suffix = "nncf.onnx"
    packages = ("onnx", "onnxscript", "nncf")
    extra = "int8"

    def export_calibrated(
        self, module: nn.Module, example: Batch, path: Path, calibration: Calibration
    ) -> None:
        """Export `module` in float32 and quantise it."""
        with TemporaryFolder() as folder, one_kind_of_error(), quiet():
            import nncf
            import onnx

            exported = folder / "float.onnx"
            OnnxFile().export(module, example, exported)
            inputs = _Inputs(input_names(exported), calibration)
            quantised = nncf.quantize(
                onnx.load(str(exported)),
                nncf.Dataset(inputs),
                target_device=nncf.TargetDevice.CPU,
                subset_size=len(inputs),
            )
            onnx.save(quantised, str(folder / "int8.onnx"))
            place(folder / "int8.onnx", path)
