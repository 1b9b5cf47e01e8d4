"""The kernel's counters of the CPUs that a run may use."""

from __future__ import annotations

import math
import os

import psutil

from . import topology
from .finding import Place
from .known import known

# In /proc/stat, after the name of the CPU: user, nice, system, idle, iowait, irq, softirq, steal.
BUSY, STEAL = (0, 1, 2, 5, 6), 7
UNKNOWN = math.nan, math.nan


class Counters:
    """Reads the counters of the CPUs of `place`.

    A CPU that shares a core with one of them counts too, since its work slows that one down. cores:
    how many a run may use. tick: the kernel's unit of time in seconds.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self.tick = known(lambda: 1 / os.sysconf("SC_CLK_TCK"), 0.01)
        online = frozenset(known(self._ticks, {}))
        own = online & place.cores
        self.cores = len(own) or known(psutil.cpu_count, None) or 1
        self._counted = online & own.union(*(topology.siblings(cpu, place) for cpu in own))

    def seconds(self) -> tuple[float, float]:
        """Seconds that all processes have used, and that the hypervisor took; NaN if unknown.

        If /proc/stat does not have the run's CPUs, as in a container that numbers them anew, these
        are the seconds of all that the system reports.
        """
        if not self._counted:
            return known(_all_seconds, UNKNOWN)
        return known(self._own_seconds, UNKNOWN)

    def mean_mhz(self) -> float | None:
        """The mean clock of the CPUs; None if it cannot be read."""
        return known(self._mean_mhz, None)

    def _ticks(self) -> dict[int, list[int]]:
        """The numbers of each CPU that /proc/stat has."""
        lines = (self._place.read("proc/stat") or "").splitlines()
        fields = [line.split() for line in lines if line.startswith("cpu")]
        return {
            int(name.removeprefix("cpu")): [int(number) for number in numbers]
            for name, *numbers in fields
            if name != "cpu"
        }

    def _own_seconds(self) -> tuple[float, float]:
        ticks = self._ticks()
        own = [ticks[cpu] for cpu in self._counted]
        busy = sum(numbers[place] for numbers in own for place in BUSY)
        steal = sum(numbers[STEAL] for numbers in own if len(numbers) > STEAL)
        return busy * self.tick, steal * self.tick

    def _mean_mhz(self) -> float | None:
        each = known(lambda: psutil.cpu_freq(percpu=True), None) or []
        cpus = self._place.cores
        if cpus and max(cpus) < len(each):
            return sum(each[cpu].current for cpu in cpus) / len(cpus) or None
        return psutil.cpu_freq().current or None


def _all_seconds() -> tuple[float, float]:
    times = psutil.cpu_times()
    busy = sum(getattr(times, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq"))
    return busy, getattr(times, "steal", 0.0)
