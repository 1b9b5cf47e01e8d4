"""What makes two runs comparable: the fingerprint of the machine, the software and the settings."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import torch
import torchvision

if TYPE_CHECKING:
    from ..timing.protocol import Protocol
    from .prepared_model import Plan

Value = str | int | float | bool | None


def fingerprint(
    plan: Plan, protocol: Protocol, batch_sizes: Sequence[int] = ()
) -> dict[str, Value]:
    """Everything that must be equal for two runs to be compared, by name.

    batch_sizes: where a run has several; each of its cases then says which is its own.
    """
    return {
        "cpu": cpu_name(),
        "cpus": psutil.cpu_count(),
        "cpu_max_mhz": _cpu_max_mhz(),
        **_gpu(plan.settings.device),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "cuda": torch.version.cuda if plan.settings.on_cuda else None,
        "cudnn": torch.backends.cudnn.version() if plan.settings.on_cuda else None,
        **asdict(plan.settings),
        "weights": plan.weights.kind,
        "seed": plan.seed,
        "batch_size": ",".join(map(str, batch_sizes)) if len(batch_sizes) > 1 else plan.batch_size,
        "metric": protocol.metric,
        "include_copies": protocol.include_copies,
    }


def cpu_name() -> str:
    """The processor's name, as the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _cpu_max_mhz() -> float | None:
    """The processor's highest clock where the system tells it, which a limit would lower."""
    frequency = psutil.cpu_freq()
    return frequency.max or None if frequency else None


def _gpu(device: str) -> dict[str, Value]:
    """Name, driver and limits of the GPU at `device`; None for all on a CPU."""
    about: dict[str, Value] = dict.fromkeys(("gpu", "driver", "gpu_watts", "gpu_max_mhz"))
    if not device.startswith("cuda"):
        return about
    about["gpu"] = torch.cuda.get_device_name(device)
    try:
        import pynvml
    except ImportError:
        return about | {"driver": "unknown: nvidia-ml-py is not installed"}
    try:
        return about | _limits(pynvml, torch.cuda.get_device_properties(device).uuid)
    except pynvml.NVMLError as error:
        return about | {"driver": f"unknown: {error}"}


def _limits(pynvml: Any, uuid: object) -> dict[str, Value]:
    """What NVIDIA's library says of a GPU and torch does not: driver, power and clock limits."""
    pynvml.nvmlInit()
    gpu = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    return {
        "driver": str(pynvml.nvmlSystemGetDriverVersion()),
        "gpu_watts": round(pynvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1e3),
        "gpu_max_mhz": pynvml.nvmlDeviceGetMaxClockInfo(gpu, pynvml.NVML_CLOCK_SM),
    }
