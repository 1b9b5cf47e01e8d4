"""ONNX files in int8, as ONNX Runtime's own tool quantises them."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..batches import Batch
from ..machine import processor
from ..temporary import TemporaryFolder
from .base import Calibration
from .inductor import one_kind_of_error
from .onnx import OnnxFile
from .quantised_onnx import QuantisedOnnxFile

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


def recipe() -> dict[str, Any]:
    """What `quantize_static` is asked for: QDQ, as the documentation advises for this processor.

    Weights are signed, with a scale for each channel; activations are unsigned, which it calls
    fastest on x86. Without VNNI or AMX, whose sums have 32 bits, weights get 7 bits: sums of 16
    bits would saturate.
    """
    from onnxruntime.quantization import QuantFormat, QuantType

    return {
        "quant_format": QuantFormat.QDQ,
        "per_channel": True,
        "reduce_range": not processor.multiplies_8_bits(),
        "activation_type": QuantType.QUInt8,
        "weight_type": QuantType.QInt8,
    }


def prepare(exported: Path, target: Path) -> None:
    """Write the file for the quantiser, as its documentation asks for, with batch norms folded."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with quiet():
        quant_pre_process(str(exported), str(target))


def quantise(
    file: Path, target: Path, calibration: Calibration, options: Mapping[str, Any]
) -> None:
    """Write a float32 file in int8. options: of `quantize_static`."""
    from onnxruntime.quantization import quantize_static

    with quiet():
        quantize_static(str(file), str(target), _reader(file, calibration), **options)


class OnnxInt8File(QuantisedOnnxFile):
    """Static quantisation by ONNX Runtime's own tool, after its pre-processing."""

    suffix = "int8.onnx"
    packages = ("onnx", "onnxscript", "onnxruntime")
    extra = "onnx"

    def export_calibrated(
        self, module: nn.Module, example: Batch, path: Path, calibration: Calibration
    ) -> None:
        """Export `module` in float32, prepare it and quantise it."""
        with TemporaryFolder() as folder, one_kind_of_error(), quiet():
            exported, prepared, written = (
                folder / f"{name}.onnx" for name in ("float", "prepared", "int8")
            )
            OnnxFile().export(module, example, exported)
            prepare(exported, prepared)
            quantise(prepared, written, calibration, recipe())
            place(written, path)


def input_names(file: Path) -> list[str]:
    """The names of the inputs of an ONNX file, in order."""
    import onnx

    graph = onnx.load(str(file), load_external_data=False).graph
    weights = {each.name for each in graph.initializer}
    return [each.name for each in graph.input if each.name not in weights]


def _reader(file: Path, calibration: Calibration) -> Any:
    """What gives the quantiser one batch after another, or a part of them if it asks for one."""
    from onnxruntime.quantization import CalibrationDataReader

    names = input_names(file)

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._batches = calibration.batches()

        def __len__(self) -> int:
            return calibration.count

        def set_range(self, start_index: int, end_index: int) -> None:
            self._batches = islice(calibration.batches(), start_index, end_index)

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self._batches, None)
            if batch is None:
                return None
            return {name: each.numpy() for name, each in zip(names, batch, strict=True)}

    return Reader()
