"""The names and the speed limits of the processor and the GPU."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import psutil

Value = str | int | float | bool | None


def cpu_name() -> str:
    """The processor's name, as the system reports it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cpu_max_mhz() -> float | None:
    """The processor's highest clock, including any limit; None if the system does not report it."""
    frequency = psutil.cpu_freq()
    return frequency.max or None if frequency else None


def gpu(device: str) -> dict[str, Value]:
    """The name, driver and limits of the GPU at `device`; all None on a CPU."""
    about: dict[str, Value] = dict.fromkeys(("gpu", "driver", "gpu_watts", "gpu_max_mhz"))
    if not device.startswith("cuda"):
        return about
    # A run on a CUDA device has imported torch already.
    import torch

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
    """What NVML knows about a GPU and torch does not: driver, power and clock limits."""
    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    return {
        "driver": str(pynvml.nvmlSystemGetDriverVersion()),
        "gpu_watts": round(pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3),
        "gpu_max_mhz": pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM),
    }
