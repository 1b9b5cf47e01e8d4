"""What makes two runs comparable: the fingerprint of the machine, the software and the settings."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import torch
import torchvision

if TYPE_CHECKING:
    from .workbench import Plan

Value = str | int | float | bool | None


def fingerprint(plan: Plan, cpu: str) -> dict[str, Value]:
    """Everything that must be equal for two runs to be compared, by name.

    cpu: the processor's name.
    """
    return {
        "cpu": cpu,
        **_gpu(plan.settings.device),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "cuda": torch.version.cuda if plan.settings.on_cuda else None,
        "cudnn": torch.backends.cudnn.version() if plan.settings.on_cuda else None,
        **asdict(plan.settings),
        "weights": plan.weights.label,
        "seed": plan.seed,
        "batch_size": plan.batch_size,
    }


def _gpu(device: str) -> dict[str, Value]:
    """Name and driver of the GPU at `device`; None for both on a CPU."""
    if not device.startswith("cuda"):
        return {"gpu": None, "driver": None}
    return {"gpu": torch.cuda.get_device_name(device), "driver": _driver()}


def _driver() -> str:
    """The version of the NVIDIA driver, which torch does not tell."""
    try:
        import pynvml
    except ImportError:
        return "unknown: nvidia-ml-py is not installed"
    try:
        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError as error:
        return f"unknown: {error}"
