"""What of the processor disturbs measurements: share, clock, threads and memory."""

from __future__ import annotations

from pathlib import Path

from . import control_groups, cpus
from .finding import LOOK, NOT_KNOWN, OK, Finding, Place

CPU = Path("sys/devices/system/cpu")


def cores(place: Place) -> Finding:
    """Whether this process may use all cores."""
    online = place.read(CPU / "online")
    if not online:
        return Finding("cores", NOT_KNOWN, "the system does not list its cores")
    there, own = len(cpus.numbers(online)), len(place.cores)
    if own >= there:
        return Finding("cores", OK, f"this process may use all {there}")
    seen = f"this process may use {own} of {there} (affinity)"
    return Finding("cores", LOOK, seen, "compare only runs that were pinned alike (taskset)")


def quota(place: Place) -> Finding:
    """Whether a container's limit stops the process before it has used its cores."""
    limit, own = control_groups.quota(place), len(place.cores)
    if limit is None:
        there = control_groups.are_there(place)
        verdict, seen = (OK, "no limit") if there else (NOT_KNOWN, "there are no control groups")
        return Finding("CPU quota", verdict, seen)
    if limit >= own:
        return Finding("CPU quota", OK, f"{limit:g} cores, for {own} that it may use")
    seen = f"{limit:g} cores, but the process may use {own}: threads stop when it is used up"
    remedy = f"--threads {max(1, int(limit))}, or raise it (docker run --cpus, resources.limits)"
    return Finding("CPU quota", LOOK, seen, remedy)


def governor(place: Place) -> Finding:
    """Whether the clock follows the load."""
    texts = {place.read(path) for path in place.found(f"{CPU}/cpu[0-9]*/cpufreq/scaling_governor")}
    names = sorted(text for text in texts if text)
    if not names:
        return Finding("governor", NOT_KNOWN, "the system does not tell, as in most containers")
    if names == ["performance"]:
        return Finding("governor", OK, "performance")
    seen = f"{', '.join(names)}: the clock follows the load, so short calls may run slower"
    return Finding("governor", LOOK, seen, "sudo cpupower frequency-set -g performance")


def turbo(place: Place) -> Finding:
    """Whether the clock depends on the temperature and on other cores."""
    off, on = place.number(CPU / "intel_pstate/no_turbo"), place.number(CPU / "cpufreq/boost")
    if off is None and on is None:
        return Finding("turbo", NOT_KNOWN, "the system does not tell")
    if off == 1 or (off is None and on == 0):
        return Finding("turbo", OK, "off")
    seen = "on: the clock falls as the processor gets warm or other cores work"
    switch = "cpufreq/boost" if off is None else "intel_pstate/no_turbo"
    remedy = f"for steadier figures: echo {int(off is not None)} | sudo tee /{CPU / switch}"
    return Finding("turbo", LOOK, seen, remedy)


def smt(place: Place) -> Finding:
    """Whether two of this process' threads share a core."""
    active = place.number(CPU / "smt/active")
    if active is None:
        return Finding("SMT", NOT_KNOWN, "the system does not tell")
    if not active:
        return Finding("SMT", OK, "off, or not there")
    siblings = {
        place.read(CPU / f"cpu{core}/topology/thread_siblings_list") for core in place.cores
    }
    physical = len(siblings)
    if None in siblings or physical == len(place.cores):
        return Finding("SMT", OK, "on, but this process has one thread of each core")
    seen = f"on: {len(place.cores)} logical cores are {physical} physical ones"
    return Finding("SMT", LOOK, seen, f"--threads {physical} at most, PyTorch's own default")


def swap(place: Place) -> Finding:
    """Whether memory was moved to a disk."""
    lines = (place.read("proc/meminfo") or "").splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines if len(line.split()) > 1}
    if not {"SwapTotal", "SwapFree"} <= set(sizes):
        return Finding("swap", NOT_KNOWN, "the system does not tell")
    used = (sizes["SwapTotal"] - sizes["SwapFree"]) // 1024
    if used <= 0:
        return Finding("swap", OK, "not used")
    seen = f"{used} MiB are swapped out: reading them back takes milliseconds"
    return Finding("swap", LOOK, seen, "end what needs the memory, then sudo swapoff -a")
