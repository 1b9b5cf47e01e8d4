"""Optimized TorchScript: the frozen file, optimised for inference when it is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..formats.torchscript import FrozenFile, without_deprecation_notice
from ._torchscript import TorchScriptInPython

if TYPE_CHECKING:
    import torch


class Optimized(TorchScriptInPython):
    """torch.jit.optimize_for_inference on each load, because its operators cannot be saved."""

    name = "optimized"
    title = "TorchScript optimized"
    order = 50
    format = FrozenFile

    def prepared(self, program: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
        """Optimise the program for this machine."""
        import torch

        with without_deprecation_notice():
            return torch.jit.optimize_for_inference(program)
