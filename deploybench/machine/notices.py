"""What a reader of the numbers should know of the machine, before a run and after it.

A short fixed workload at both ends of a run shows the noise that no counter does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import psutil

from .interference import Watch

GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
WARM_UPS, ROUNDS = 5, 60
# A product of matrices of this side takes about 5 ms on one core, or half of one on a large GPU.
CPU_SIDE, CUDA_SIDE = 512, 2048
MAX_SHIFT, MAX_SPREAD = 0.05, 0.10

# By kind of disturbance: what it does to the numbers, and what to do.
REMEDIES = {
    "load": ("they take time from the timed calls", "end them, or run again without them"),
    "steal": ("the timed calls stand still meanwhile", "use a host that is not shared"),
    "frequency": ("the timed calls get slower in the course of the run", "let the machine cool"),
    "gpu process": ("it takes time from the timed calls", "end it, or use another --device"),
    "throttle": ("the timed calls run at a lower clock", "let the GPU cool, or lock its clock"),
}


@dataclass(frozen=True)
class Notice:
    """What was seen of the machine, what it does to the numbers, and what to do."""

    seen: str
    effect: str
    mend: str

    def line(self) -> str:
        """All three in one line."""
        return f"{self.seen}: {self.effect}; {self.mend}"


def before_run(watch: Watch, seconds: float = 0.2) -> list[Notice]:
    """What stands in the way of a run before it has begun, by a look of so many seconds."""
    start = watch.look()
    time.sleep(seconds)
    found = watch.between(start, watch.look()).by_kind(watch.limits)
    notices = [Notice(f"before the run, {what}", *REMEDIES[kind]) for kind, what in found.items()]
    with suppress(OSError):
        if GOVERNOR.read_text().strip() == "powersave":
            effect = "the clock follows the load, and short calls may be timed at a low one"
            mend = "sudo cpupower frequency-set -g performance"
            notices.append(Notice("the CPU's governor is powersave", effect, mend))
    battery = psutil.sensors_battery()
    if battery and battery.power_plugged is False:
        effect = "the machine saves power, and its clock changes as the charge goes down"
        notices.append(Notice("the machine runs on its battery", effect, "plug it in"))
    return notices


def after_run(
    start: MachineNoise, end: MachineNoise, *, repeated: int, disturbed: int
) -> list[Notice]:
    """What to know of a run that has ended.

    start, end: the machine's own noise. repeated: how many models were timed again, disturbed: how
    many stayed disturbed.
    """
    found = compare(start, end)
    notices = [found] if found else []
    if repeated or disturbed:
        seen = f"models timed again because of other work: {repeated}, still disturbed: {disturbed}"
        stands = "a * stands behind figures that it got in the way of"
        effect = stands if disturbed else "the figures are those of the undisturbed calls"
        mend = "measure them again when the machine is idle" if disturbed else "nothing is to do"
        notices.append(Notice(seen, effect, mend))
    return notices


@dataclass(frozen=True)
class MachineNoise:
    """How a fixed piece of work runs. median: seconds. spread: interquartile range by median."""

    median: float
    spread: float


def measure_machine_noise(
    device: str, clock: Callable[[], float] = time.perf_counter
) -> MachineNoise:
    """Time a product of two matrices on `device` again and again, for about 0.3 s."""
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
    """A notice where the machine itself became faster or slower, or was never steady."""
    shift = end.median / start.median - 1
    spread = max(start.spread, end.spread)
    seen = []
    if abs(shift) > MAX_SHIFT:
        seen.append(f"took {abs(shift):.0%} {'longer' if shift > 0 else 'less'} after the run")
    if spread > MAX_SPREAD:
        seen.append(f"varied by {spread:.0%}")
    if not seen:
        return None
    effect = "models that differ by as little may differ by the machine alone"
    mend = "run again when it is cool and idle, or pool several runs"
    return Notice(f"a fixed piece of work {' and '.join(seen)}", effect, mend)
