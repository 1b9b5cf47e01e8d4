"""What of the processor disturbs measurements: share, clock, threads and memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .finding import LOOK, NOT_KNOWN, OK, Finding, Place, cores_of

CPU = Path("sys/devices/system/cpu")
CGROUPS = Path("sys/fs/cgroup")


def cores(place: Place) -> Finding:
    """Whether this process may use all cores."""
    online = place.read(CPU / "online")
    if not online:
        return Finding("cores", NOT_KNOWN, "the system does not list its cores")
    there, own = len(cores_of(online)), len(place.cores)
    if own >= there:
        return Finding("cores", OK, f"this process may use all {there}")
    seen = f"this process may use {own} of {there} (affinity)"
    return Finding("cores", LOOK, seen, "compare only runs that were pinned alike (taskset)")


def quota(place: Place) -> Finding:
    """Whether a container's limit stops the process before it has used its cores."""
    limits = [limit for limit in (*_quotas_v2(place), *_quotas_v1(place)) if limit is not None]
    if not limits:
        known = place.read("proc/self/cgroup") is not None
        verdict, seen = (OK, "no limit") if known else (NOT_KNOWN, "there are no control groups")
        return Finding("CPU quota", verdict, seen)
    limit, own = min(limits), len(place.cores)
    if limit >= own:
        return Finding("CPU quota", OK, f"{limit:g} cores, for {own} that it may use")
    seen = f"{limit:g} cores, but the process may use {own}: threads stop when it is used up"
    remedy = f"--threads {max(1, int(limit))}, or raise it (docker run --cpus, resources.limits)"
    return Finding("CPU quota", LOOK, seen, remedy)


def _groups(place: Place) -> Iterator[tuple[str, Path]]:
    """The controllers and the path of each control group of this process."""
    for line in (place.read("proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        yield controllers, Path(path.lstrip("/"))


def _quotas_v2(place: Place) -> Iterator[float | None]:
    """The limits of the group and of all above it; in a container the path may not exist."""
    for controllers, path in _groups(place):
        if controllers == "":
            for each in (path, *path.parents):
                given, _, period = (place.read(CGROUPS / each / "cpu.max") or "max").partition(" ")
                yield None if given == "max" else int(given) / int(period or 100_000)


def _quotas_v1(place: Place) -> Iterator[float | None]:
    for controllers, path in _groups(place):
        if "cpu" in controllers.split(","):
            for folder in (controllers, "cpu"):
                for each in (path, *path.parents):
                    at = CGROUPS / folder / each
                    given = place.number(at / "cpu.cfs_quota_us")
                    period = place.number(at / "cpu.cfs_period_us")
                    yield given / period if given and given > 0 and period else None


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
