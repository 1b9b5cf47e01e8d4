"""ONNX files in int8, as ONNX Runtime's own tool quantises them."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..batches import Batch
from ..machine import processor
from ..temporary import TemporaryFolder
from .base import CalibratedFormat, Calibration
from .inductor import one_kind_of_error
from .onnx import OnnxFile, require_packages

if TYPE_CHECKING:
    from torch import nn


@contextmanager
def quiet() -> Iterator[None]:
    """A context in which quantisers print no progress and log no advice."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def place(written: Path, path: Path) -> None:
    """Move a file from a temporary folder to `path`; without room for it, nothing is left."""
    try:
        shutil.copyfile(written, path)
    except OSError:
        path.unlink(missing_ok=True)
        raise


class OnnxInt8File(CalibratedFormat):
    """Static quantisation to QDQ, after the pre-processing that its documentation asks for.

    Weights are signed, with a scale for each channel; activations are unsigned, which the
    documentation calls fastest on x86. Without VNNI or AMX, whose sums have 32 bits, weights get 7
    bits, as it advises: sums of 16 bits would saturate.
    """

    suffix = "int8.onnx"
    any_batch_size = False
    positional_outputs = True
    packages = ("onnx", "onnxscript", "onnxruntime")

    def require(self) -> None:
        """Require the packages that the export and the quantiser need."""
        require_packages(self.packages)

    def export_calibrated(
        self, module: nn.Module, example: Batch, path: Path, calibration: Calibration
    ) -> None:
        """Export `module` in float32, prepare it and quantise it."""
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

        with TemporaryFolder() as folder, one_kind_of_error(), quiet():
            exported, prepared = folder / "float.onnx", folder / "prepared.onnx"
            OnnxFile().export(module, example, exported)
            quant_pre_process(str(exported), str(prepared))
            quantize_static(
                str(prepared),
                str(folder / "int8.onnx"),
                _reader(prepared, calibration),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=not processor.multiplies_8_bits(),
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
            place(folder / "int8.onnx", path)


def input_names(file: Path) -> list[str]:
    """The names of the inputs of an ONNX file, in order."""
    import onnx

    graph = onnx.load(str(file), load_external_data=False).graph
    weights = {each.name for each in graph.initializer}
    return [each.name for each in graph.input if each.name not in weights]


def _reader(file: Path, calibration: Calibration) -> Any:
    """What gives the quantiser one batch after another."""
    from onnxruntime.quantization import CalibrationDataReader

    names = input_names(file)

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._batches = calibration.batches()

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self._batches, None)
            if batch is None:
                return None
            return {name: each.numpy() for name, each in zip(names, batch, strict=True)}

    return Reader()
