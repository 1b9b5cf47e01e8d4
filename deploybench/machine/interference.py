"""Observes what else uses the machine, and its clocks."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from .counters import Counters
from .finding import Place
from .known import known

# The bits of NVML's nvmlClocksEventReasons that mean the GPU runs below its possible clock.
THROTTLES = {"power cap": 0x04, "hardware slowdown": 0x08, "thermal": 0x60, "power brake": 0x80}


@dataclass(frozen=True)
class Limits:
    """How much disturbance a measurement may have before it counts as disturbed.

    other_load: the share of the run's CPUs that other processes use. steal: the share of their time
    that the hypervisor takes. frequency: the drop of the mean clock, as a share of the clock at the
    start of the run. gpu_processes: the number of other processes on the GPU. throttle: the
    THROTTLES that count.
    """

    other_load: float = 0.05
    steal: float = 0.02
    frequency: float = 0.10
    gpu_processes: int = 0
    throttle: frozenset[str] = frozenset(THROTTLES)


@dataclass(frozen=True)
class Snapshot:
    """The state of the machine at one moment.

    seconds: on the watch's clock. busy: seconds that all processes have used of the run's CPUs
    since the machine started. steal: what the hypervisor took of them. own: CPU seconds of our
    processes and of their finished children. mhz: the mean clock of the run's CPUs; gpu_mhz: the
    clock of the GPU; None if it cannot be read. throttle: the active THROTTLES. gpu_processes: pids
    of other processes on the GPU.
    """

    seconds: float
    busy: float
    steal: float
    own: float
    mhz: float | None = None
    gpu_mhz: int | None = None
    throttle: frozenset[str] = frozenset()
    gpu_processes: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Disturbance:
    """The disturbance between two snapshots; shares as in Limits, the rest as in Snapshot."""

    other_load: float = 0.0
    steal: float = 0.0
    frequency: float = 0.0
    gpu_mhz: int | None = None
    throttle: frozenset[str] = frozenset()
    gpu_processes: frozenset[int] = frozenset()

    @property
    def size(self) -> float:
        """A total for comparing two disturbances; each throttle and GPU process counts as 1."""
        gpu = len(self.throttle) + len(self.gpu_processes)
        return self.other_load + self.steal + self.frequency + gpu

    def reasons(self, limits: Limits) -> tuple[str, ...]:
        """What exceeds `limits`, in words; empty if nothing does."""
        return tuple(self.by_kind(limits).values())

    def by_kind(self, limits: Limits) -> dict[str, str]:
        """The same, by kind, as in notices.REMEDIES."""
        found = {}
        if self.other_load > limits.other_load:
            found["load"] = f"other processes used {self.other_load:.0%} of the cores"
        if self.steal > limits.steal:
            found["steal"] = f"the hypervisor took {self.steal:.0%} of the cores' time"
        if self.frequency > limits.frequency:
            found["frequency"] = f"the CPU's clock was {self.frequency:.0%} lower than at the start"
        if len(self.gpu_processes) > limits.gpu_processes:
            pids = ", ".join(f"pid {pid}" for pid in sorted(self.gpu_processes))
            found["gpu process"] = f"another process on the GPU ({pids})"
        if throttle := sorted(self.throttle & limits.throttle):
            clock = "" if self.gpu_mhz is None else f" ({self.gpu_mhz} MHz)"
            found["throttle"] = f"the GPU was throttled: {', '.join(throttle)}{clock}"
        return found


class Watch:
    """Observes the machine; created once, at the start of a run.

    device: "cpu" or "cuda:N". own_processes: returns the pids of our own processes, by default this
    process and all its descendants. clock: returns seconds. place: where it reads, and the CPUs
    that the run may use: what happens on others does not disturb it. What cannot be read disturbs
    nothing.
    """

    def __init__(
        self,
        device: str,
        own_processes: Callable[[], Sequence[int]] | None = None,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.perf_counter,
        place: Place | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._own_processes = own_processes or _own_and_descendants
        self._clock = clock
        self._gpu = known(lambda: _open_gpu(device), None)
        self._counters = Counters(place or Place())
        self._cores = self._counters.cores
        self._tick = self._counters.tick
        self._mhz = self._counters.mean_mhz()

    def look(self) -> Snapshot:
        """The state of the machine now."""
        pids = known(self._own_processes, [os.getpid()])
        seconds = self._clock()
        busy, steal = self._counters.seconds()
        own = _own_seconds(pids)
        mhz = self._counters.mean_mhz()
        if self._gpu is None:
            return Snapshot(seconds, busy, steal, own, mhz)
        others = self._gpu.processes() - set(pids)
        return Snapshot(
            *(seconds, busy, steal, own, mhz), *(self._gpu.mhz(), self._gpu.throttle(), others)
        )

    def between(self, start: Snapshot, end: Snapshot) -> Disturbance:
        """The disturbance between two snapshots."""
        # The kernel counts ticks on each core separately, so this much may be mere rounding.
        # Without the correction, an interval of a few ticks would count as disturbed.
        rounding = self._tick * self._cores
        all_cores = max((end.seconds - start.seconds) * self._cores, rounding)
        others = (end.busy - start.busy) - (end.own - start.own) - rounding
        steal = end.steal - start.steal - rounding
        # In this order, 0 is the greater of 0 and what is unknown, which is NaN.
        return Disturbance(
            max(0.0, others) / all_cores,
            max(0.0, steal) / all_cores,
            self._drop(start.mhz, end.mhz),
            end.gpu_mhz,
            start.throttle | end.throttle,
            start.gpu_processes | end.gpu_processes,
        )

    def _drop(self, start: float | None, end: float | None) -> float:
        if self._mhz is None or start is None or end is None:
            return 0.0
        # The higher of the two, because cores that happen to be idle also lower the mean.
        return max(0.0, 1 - max(start, end) / self._mhz)


def _own_and_descendants() -> list[int]:
    own = [os.getpid()]
    if not Path("/proc/thread-self/children").exists():
        return own + [child.pid for child in psutil.Process().children(recursive=True)]
    # psutil would read every process of the machine. The list grows during the loop.
    for pid in own:
        for file in Path(f"/proc/{pid}/task").glob("*/children"):
            # A thread may have ended meanwhile.
            with suppress(OSError):
                own += map(int, file.read_text().split())
    return own


def _own_seconds(pids: Sequence[int]) -> float:
    # Rounded, because an ended child's seconds become its parent's, and floats then add up to less.
    return round(sum(known(_process_seconds, math.nan, pid) for pid in pids), 3)


def _process_seconds(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0  # it has ended meanwhile; its seconds are counted in its parent
    return times.user + times.system + times.children_user + times.children_system


class _Gpu:
    """One GPU, read through NVML."""

    def __init__(self, pynvml: Any, handle: Any) -> None:
        self._pynvml = pynvml
        self._handle = handle

    def mhz(self) -> int | None:
        return known(lambda: int(self._ask("ClockInfo", self._pynvml.NVML_CLOCK_SM)), None)

    def throttle(self) -> frozenset[str]:
        bits = known(lambda: int(self._ask("CurrentClocksEventReasons")), 0)
        return frozenset(name for name, mask in THROTTLES.items() if bits & mask)

    def processes(self) -> frozenset[int]:
        return known(self._processes, frozenset())

    def _processes(self) -> frozenset[int]:
        # In a container these may be the host's pids, including our own; they don't exist here.
        pids = (process.pid for process in self._ask("ComputeRunningProcesses"))
        return frozenset(filter(psutil.pid_exists, pids))

    def _ask(self, what: str, *arguments: Any) -> Any:
        return getattr(self._pynvml, f"nvmlDeviceGet{what}")(self._handle, *arguments)


def _open_gpu(device: str) -> _Gpu | None:
    """The GPU at `device`; None on a CPU. Raises if NVML is missing or does not find it."""
    if not device.startswith("cuda"):
        return None
    import pynvml

    pynvml.nvmlInit()
    return _Gpu(pynvml, pynvml.nvmlDeviceGetHandleByUUID(_gpu_uuid(device)))


def _gpu_uuid(device: str) -> str:
    # Only torch knows which GPU has this name. A run on a CUDA device has imported it already.
    import torch

    return f"GPU-{torch.cuda.get_device_properties(device).uuid}"
