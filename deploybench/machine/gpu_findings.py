"""What of the GPUs disturbs measurements, read through NVML, so without torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .finding import LOOK, NOT_KNOWN, OK, Finding
from .interference import THROTTLES
from .known import known


def gpus(nvml: Callable[[], Any] | None = None) -> list[Finding]:
    """The findings of every GPU; a single one if there is none. nvml: imports the library."""
    try:
        pynvml = (nvml or _import)()
    except ImportError:
        return [Finding("GPU", NOT_KNOWN, "nvidia-ml-py is missing", "pip install nvidia-ml-py")]
    try:
        pynvml.nvmlInit()
        handles = [
            pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())
        ]
    except Exception as error:  # whatever an old or a broken driver raises
        return [Finding("GPU", OK, f"none, or no driver of NVIDIA ({error})")]
    if not handles:
        return [Finding("GPU", OK, "none")]
    found = [
        finding
        for index, handle in enumerate(handles)
        for finding in _Gpu(pynvml, index, handle).findings()
    ]
    known(pynvml.nvmlShutdown, None)
    return found


def _import() -> Any:
    import pynvml

    return pynvml


class _Gpu:
    """One GPU."""

    def __init__(self, pynvml: Any, index: int, handle: Any) -> None:
        self._pynvml = pynvml
        self._name = f"GPU {index}"
        self._handle = handle

    def findings(self) -> list[Finding]:
        """All that is known of it."""
        examinations = {
            "persistence": self._persistence,
            "clock": self._clocks,
            "throttling": self._throttle,
            "processes": self._processes,
        }
        return [
            known(
                examine, Finding(f"{self._name} {subject}", NOT_KNOWN, "the driver does not tell")
            )
            for subject, examine in examinations.items()
        ]

    def _persistence(self) -> Finding:
        subject, mode = f"{self._name} persistence", self._ask("PersistenceMode")
        if mode is None:
            return Finding(subject, NOT_KNOWN, "the driver does not tell")
        if mode:
            return Finding(subject, OK, "on")
        seen = "off: the driver starts the GPU anew for each process"
        return Finding(subject, LOOK, seen, "sudo nvidia-smi --persistence-mode=1")

    def _clocks(self) -> Finding:
        subject, kind = f"{self._name} clock", self._pynvml.NVML_CLOCK_SM
        now, most = self._ask("ClockInfo", kind), self._ask("MaxClockInfo", kind)
        if now is None or most is None:
            return Finding(subject, NOT_KNOWN, "the driver does not tell")
        allowed = self._ask("ApplicationsClock", kind)
        if allowed is None or allowed >= most:
            return Finding(subject, OK, f"{now} MHz now, {most} MHz at most")
        seen = f"{allowed} MHz for applications, although {most} MHz are possible"
        remedy = "compare only runs with this limit, or sudo nvidia-smi --reset-applications-clocks"
        return Finding(subject, LOOK, seen, remedy)

    def _throttle(self) -> Finding:
        subject, bits = f"{self._name} throttling", self._ask("CurrentClocksEventReasons")
        if bits is None:
            return Finding(subject, NOT_KNOWN, "the driver does not tell")
        reasons = sorted(name for name, mask in THROTTLES.items() if bits & mask)
        if not reasons:
            return Finding(subject, OK, "none now")
        return Finding(subject, LOOK, ", ".join(reasons), "let it cool, or lock a lower clock")

    def _processes(self) -> Finding:
        subject, found = f"{self._name} processes", self._ask("ComputeRunningProcesses")
        if found is None:
            return Finding(subject, NOT_KNOWN, "the driver does not tell")
        if not found:
            return Finding(subject, OK, "none")
        pids = ", ".join(f"pid {process.pid}" for process in found)
        remedy = "end them, or use another --device (in a container, they may be the host's)"
        return Finding(subject, LOOK, pids, remedy)

    def _ask(self, what: str, *arguments: Any) -> Any:
        return known(
            lambda: getattr(self._pynvml, f"nvmlDeviceGet{what}")(self._handle, *arguments), None
        )
