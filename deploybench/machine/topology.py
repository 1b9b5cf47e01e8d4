"""The cores of the machine, and which of them are near which GPU. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cpus import numbers
from .finding import Place
from .known import known

SIBLINGS = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
BITS = 64


@dataclass(frozen=True)
class Gpu:
    """A GPU. uuid: as CUDA_VISIBLE_DEVICES takes it. near: the CPUs of its NUMA node; empty if
    unknown."""

    uuid: str
    near: frozenset[int]


def cores(place: Place | None = None) -> list[frozenset[int]]:
    """The CPUs of each core that this process may use, by their lowest CPU.

    Two CPUs of one core share its units, so they must not belong to two measurements.
    """
    place = place or Place()
    found = set()
    for cpu in place.cores:
        found.add((siblings(cpu, place) & place.cores) or frozenset({cpu}))
    return sorted(found, key=min)


def siblings(cpu: int, place: Place) -> frozenset[int]:
    """The CPUs that share a core with `cpu`, itself among them; empty if unknown."""
    return known(lambda: numbers(place.read(SIBLINGS.format(cpu)) or ""), frozenset())


def gpus(nvml: Callable[[], Any] | None = None) -> list[Gpu]:
    """The GPUs of NVIDIA, in the order of their buses; none without a driver."""
    return known(lambda: _gpus((nvml or _import)()), [])


def _import() -> Any:
    import pynvml

    return pynvml


def _gpus(pynvml: Any) -> list[Gpu]:
    pynvml.nvmlInit()
    try:
        handles = [
            pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())
        ]
        return [Gpu(_text(pynvml.nvmlDeviceGetUUID(each)), _near(pynvml, each)) for each in handles]
    finally:
        pynvml.nvmlShutdown()


def _text(given: str | bytes) -> str:
    return given.decode() if isinstance(given, bytes) else given


def _near(pynvml: Any, handle: Any) -> frozenset[int]:
    highest = known(
        lambda: max(numbers(Path("/sys/devices/system/cpu/possible").read_text())), 1023
    )
    words: list[int] = known(
        lambda: list(pynvml.nvmlDeviceGetCpuAffinity(handle, highest // BITS + 1)), []
    )
    return frozenset(
        BITS * index + bit
        for index, word in enumerate(words)
        for bit in range(BITS)
        if word >> bit & 1
    )
