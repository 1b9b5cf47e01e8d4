"""ExecuTorch programs in int8, as its quantiser for XNNPACK does it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..batches import Batch
from . import kept_graphs
from .base import CalibratedFormat, Calibration, Origin
from .executorch import write_program
from .inductor import one_kind_of_error
from .pt2e import quantised, silence, with_rounded_layers

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
            write_program(quantised(module, example, calibration, _quantiser()), path)

    def expose(self, origin: Origin, artifact: Path, target: Path) -> dict[str, int]:
        """Quantise the module again, with the values of its layers, as rounded, as outputs."""
        import torch

        module, example, calibration = origin.module, origin.example, origin.calibration
        assert calibration is not None
        with one_kind_of_error(), silence(), torch.no_grad():
            program = quantised(module, example, calibration, _quantiser())
            graph, places = with_rounded_layers(program, module, example)
            write_program(torch.export.export(graph, example), target)
        return places

    def forget(self) -> None:
        """Drop what the libraries keep of the model's graph."""
        kept_graphs.of_quantisation()
        kept_graphs.of_executorch()


def _quantiser() -> Any:
    from executorch.backends.xnnpack.quantizer import xnnpack_quantizer as xnnpack

    scheme = xnnpack.get_symmetric_quantization_config(is_per_channel=True)
    return xnnpack.XNNPACKQuantizer().set_global(scheme)
