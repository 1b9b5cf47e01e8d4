"""Exported programs in int8, as torchao quantises them for Inductor on x86 processors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..batches import Batch
from ..machine import processor
from . import kept_graphs
from .base import CalibratedFormat, Calibration
from .exported import load_program, save_program
from .inductor import one_kind_of_error
from .pt2e import quantised, silence

if TYPE_CHECKING:
    import torch
    from torch import nn


class ExportedInt8Program(CalibratedFormat):
    """Static post-training quantisation of the exported graph (PT2E), with torchao's defaults.

    Weights are signed, with a scale for each channel; activations are unsigned. Without VNNI or
    AMX, whose sums have 32 bits, activations get 7 bits, as its documentation advises.
    """

    suffix = "int8.exported.pt2"
    any_batch_size = False
    packages = ("torchao",)
    extra = "int8"

    def export_calibrated(
        self, module: nn.Module, example: Batch, path: Path, calibration: Calibration
    ) -> None:
        """Export `module`, calibrate it, put the grids into its graph and save that."""
        with one_kind_of_error(), silence():
            save_program(quantised(module, example, calibration, _quantiser()), path)

    def forget(self) -> None:
        """Drop what the libraries keep of the model's graph."""
        kept_graphs.of_quantisation()


def load_quantised(path: Path) -> torch.export.ExportedProgram:
    """Load the archive at `path`, so that Inductor finds what is to be computed in int8.

    Raises FileError for a file that is missing, truncated or no archive.
    """
    with silence():
        _quantiser()
        return load_program(path)


def _quantiser() -> Any:
    """The quantiser; its import tells Inductor which parts of a graph have an int8 kernel."""
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    return x86.X86InductorQuantizer().set_global(
        x86.get_default_x86_inductor_quantization_config(
            reduce_range=not processor.multiplies_8_bits()
        )
    )
