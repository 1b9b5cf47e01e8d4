"""The limits of the processor and of the GPU."""

from __future__ import annotations

import math
from typing import Any

import psutil

from . import control_groups
from .cpus import notation, numbers
from .finding import Place
from .known import known
from .processor_findings import CPU

Value = str | int | float | bool | None


def cpus() -> int | None:
    """The number of the machine's CPUs; None if the system does not report it."""
    return known(psutil.cpu_count, None)


def cpu_max_mhz() -> float | None:
    """The processor's highest clock, including any limit; None if the system does not report it."""
    return known(lambda: psutil.cpu_freq().max or None, None)


def limits(place: Place | None = None) -> dict[str, Value]:
    """What keeps this process from using all CPUs, by name: a mask, or a quota of their time.

    Only what does so is in it: so a run without any is comparable with one of a version that did
    not record them.
    """
    place = place or Place()
    found: dict[str, Value] = {}
    online = known(lambda: len(numbers(place.read(CPU / "online") or "")), 0) or cpus() or 0
    if place.cores and len(place.cores) < online:
        found["cpu_mask"] = notation(place.cores)
    limit = control_groups.quota(place)
    if limit is not None and limit < (len(place.cores) or online or math.inf):
        found["cpu_quota"] = limit
    return found


REDUCED_PRECISION = {
    *("avx512_vnni", "avx_vnni", "avx_vnni_int8", "amx_int8", "avx512_bf16", "amx_bf16"),
    *("asimddp", "i8mm", "bf16"),
}
"""The flags of x86 and ARM processors for arithmetic on 8-bit integers and bfloat16."""


def reduced_precision_units(place: Place | None = None) -> str:
    """What the processor has for numbers of 8 bits and bfloat16: flags, `none` or `unknown`."""
    lines = ((place or Place()).read("proc/cpuinfo") or "").splitlines()
    listed = [
        line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features"))
    ]
    if not listed:
        return "unknown"
    return " ".join(sorted(REDUCED_PRECISION.intersection(listed[0]))) or "none"


def multiplies_8_bits() -> bool:
    """Whether the processor multiplies 8-bit integers into sums of 32 bits by one instruction."""
    units = reduced_precision_units()
    return any(each in units for each in ("vnni", "amx_int8", "asimddp", "i8mm"))


def gpu(device: str) -> dict[str, Value]:
    """The name, driver and limits of the GPU at `device`; all None on a CPU."""
    about: dict[str, Value] = dict.fromkeys(("gpu", "driver", "gpu_watts", "gpu_max_mhz"))
    if not device.startswith("cuda"):
        return about
    # A run on a CUDA device has imported torch already.
    import torch

    about["gpu"] = known(lambda: torch.cuda.get_device_name(device), None)
    try:
        import pynvml
    except ImportError:
        return about | {"driver": "unknown: nvidia-ml-py is not installed"}
    try:
        handle = _handle(pynvml, torch.cuda.get_device_properties(device).uuid)
    except Exception as error:  # whatever an old or a broken driver raises
        return about | {"driver": f"unknown: {error}"}
    return about | _limits(pynvml, handle)


def _handle(pynvml: Any, uuid: object) -> Any:
    pynvml.nvmlInit()
    return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")


def _limits(pynvml: Any, handle: Any) -> dict[str, Value]:
    """What NVML knows about a GPU and torch does not: driver, power and clock limits."""

    def watts() -> int:
        return round(pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3)

    def most() -> int:
        return int(pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM))

    return {
        "driver": known(lambda: str(pynvml.nvmlSystemGetDriverVersion()), "unknown"),
        "gpu_watts": known(watts, None),
        "gpu_max_mhz": known(most, None),
    }
