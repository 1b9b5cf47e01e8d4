"""ExecuTorch in int8: quantised for XNNPACK and calibrated, on the CPU."""

from __future__ import annotations

from ._executorch import ExecuTorchInPython, QuantisedForXnnpack


class ExecuTorchInt8(QuantisedForXnnpack, ExecuTorchInPython):
    """The program in int8."""

    name = "executorch-int8"
    title = "ExecuTorch (int8)"
    order = 157
