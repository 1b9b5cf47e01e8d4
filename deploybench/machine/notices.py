"""Notices about the machine for the reader of the figures, before a run and after it.

A short fixed workload before and after a run shows noise that no counter shows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import psutil

from .control_groups import Throttling
from .interference import Watch
from .known import known

GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
WARM_UPS, ROUNDS = 5, 60
# A product of matrices of this size takes about 5 ms on one core, or 0.5 ms on a large GPU.
CPU_SIDE, CUDA_SIDE = 512, 2048
MAX_SHIFT, MAX_SPREAD = 0.05, 0.10

# By kind of disturbance: its effect on the figures, and what to do.
REMEDIES = {
    "load": ("they slow the timed calls down", "end them, or run again without them"),
    "steal": ("the timed calls stop meanwhile", "use a host that is not shared"),
    "frequency": ("the timed calls get slower during the run", "let the machine cool"),
    "gpu process": ("it slows the timed calls down", "end it, or use another --device"),
    "throttle": ("the timed calls run at a lower clock", "let the GPU cool, or lock its clock"),
}


@dataclass(frozen=True)
class Notice:
    """What was observed on the machine, its effect on the figures, and what to do."""

    seen: str
    effect: str
    remedy: str

    def line(self) -> str:
        """All three in one line."""
        return f"{self.seen}: {self.effect}; {self.remedy}"


def before_run(
    watch: Watch, seconds: float = 0.2, *, threads: int = 1, quota: float | None = None
) -> list[Notice]:
    """Notices of what would disturb a run, from observing the machine for `seconds`.

    threads: of the run. quota: the CPUs whose time it may use; None if they are not limited.
    """
    start = watch.look()
    time.sleep(seconds)
    found = watch.between(start, watch.look()).by_kind(watch.limits)
    notices = [Notice(f"before the run, {what}", *REMEDIES[kind]) for kind, what in found.items()]
    if known(lambda: GOVERNOR.read_text().strip(), "") == "powersave":
        effect = "the clock follows the load, so short calls may run at a low clock"
        remedy = "sudo cpupower frequency-set -g performance"
        notices.append(Notice("the CPU's governor is powersave", effect, remedy))
    if known(_is_plugged_in, None) is False:
        effect = "it saves power, and its clock changes as the battery discharges"
        notices.append(Notice("the machine runs on its battery", effect, "plug it in"))
    if quota is not None and quota < threads:
        words = "1 thread" if threads == 1 else f"{threads} threads"
        effect = "calls are stopped when the quota is used up, so many take longer than others"
        fewer = f"use --threads {max(1, int(quota))}, or " if threads > max(1, int(quota)) else ""
        remedy = f"{fewer}raise it (docker run --cpus, resources.limits)"
        notices.append(Notice(f"the CPU quota is {quota:g} CPUs for {words}", effect, remedy))
    return notices


def _is_plugged_in() -> bool | None:
    battery = psutil.sensors_battery()
    return battery and battery.power_plugged


def after_run(
    start: MachineNoise,
    end: MachineNoise,
    *,
    repeated: int,
    disturbed: int,
    throttling: Throttling | None = None,
) -> list[Notice]:
    """Notices about a finished run.

    start, end: the machine's own noise. repeated: how many models were timed again. disturbed: how
    many were still disturbed. throttling: what its CPU quota did meanwhile; None if unknown.
    """
    found = compare(start, end)
    notices = [found] if found else []
    if throttling and throttling.throttled > 0:
        seen = (
            f"the CPU quota stopped the run in {throttling.throttled} of {throttling.periods} "
            f"periods, for {throttling.seconds:.1f} s in all"
        )
        effect = "throttled calls took longer than the model needs"
        remedy = "use fewer --threads, or raise the quota (docker run --cpus, resources.limits)"
        notices.append(Notice(seen, effect, remedy))
    if repeated or disturbed:
        seen = f"models timed again because of other work: {repeated}, still disturbed: {disturbed}"
        marked = "`*` marks the disturbed figures"
        effect = marked if disturbed else "the figures are from undisturbed attempts"
        remedy = "measure them again on an idle machine" if disturbed else "no action is needed"
        notices.append(Notice(seen, effect, remedy))
    return notices


@dataclass(frozen=True)
class MachineNoise:
    """The time of a fixed workload. median: seconds. spread: interquartile range over median."""

    median: float
    spread: float


def measure_machine_noise(
    device: str, clock: Callable[[], float] = time.perf_counter
) -> MachineNoise:
    """Time a product of two matrices on `device` repeatedly, for about 0.3 s."""
    import torch

    side = CUDA_SIDE if device.startswith("cuda") else CPU_SIDE
    matrix = torch.ones(side, side, device=device)
    samples = []
    for _ in range(WARM_UPS + ROUNDS):
        start = clock()
        torch.mm(matrix, matrix)
        if matrix.is_cuda:
            torch.cuda.synchronize(device)
        samples.append(clock() - start)
    first, median, third = quantiles(samples[WARM_UPS:], n=4)
    return MachineNoise(median, (third - first) / median)


def compare(start: MachineNoise, end: MachineNoise) -> Notice | None:
    """A notice if the machine itself became faster or slower, or was unsteady."""
    shift = end.median / start.median - 1
    spread = max(start.spread, end.spread)
    seen = []
    if abs(shift) > MAX_SHIFT:
        seen.append(f"took {abs(shift):.0%} {'longer' if shift > 0 else 'less'} after the run")
    if spread > MAX_SPREAD:
        seen.append(f"varied by {spread:.0%}")
    if not seen:
        return None
    effect = "differences between models of this size may come from the machine"
    remedy = "run again when it is cool and idle, or pool several runs"
    return Notice(f"a fixed workload {' and '.join(seen)}", effect, remedy)
