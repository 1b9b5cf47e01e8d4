"""ExecuTorch programs in int8, as its quantiser for XNNPACK does it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..batches import Batch
from .base import CalibratedFormat, Calibration
from .executorch import write_program
from .inductor import one_kind_of_error
from .pt2e import quantised, silence

if TYPE_CHECKING:
    from torch import nn


class ExecuTorchInt8Program(CalibratedFormat):
    """Static post-training quantisation (PT2E): symmetric weights with a scale for each channel."""

    suffix = "int8.pte"
    any_batch_size = False
    positional_outputs = True
    packages = ("executorch", "torchao")
    extra = "executorch"

    def export_calibrated(
        self, module: nn.Module, example: Batch, path: Path, calibration: Calibration
    ) -> None:
        """Export `module`, calibrate it, and lower it to XNNPACK."""
        with one_kind_of_error(), silence():
            from executorch.backends.xnnpack.quantizer import xnnpack_quantizer as xnnpack

            scheme = xnnpack.get_symmetric_quantization_config(is_per_channel=True)
            quantiser = xnnpack.XNNPACKQuantizer().set_global(scheme)
            write_program(quantised(module, example, calibration, quantiser), path)
