"""The CPU time that control groups, such as those of a container, give to this process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .finding import Place
from .known import known

CGROUPS = Path("sys/fs/cgroup")


@dataclass(frozen=True)
class Throttling:
    """How often a quota stopped this process and those of its group. periods: all that passed."""

    periods: int
    throttled: int
    seconds: float

    def since(self, earlier: Throttling) -> Throttling:
        """What happened after `earlier`."""
        return Throttling(
            self.periods - earlier.periods,
            self.throttled - earlier.throttled,
            self.seconds - earlier.seconds,
        )


def quota(place: Place) -> float | None:
    """The number of CPUs whose time this process may use; None if it is not limited or unknown."""
    limits = (known(_limit, None, place, each) for each in _folders(place))
    return min((limit for limit in limits if limit is not None), default=None)


def throttling(place: Place) -> Throttling | None:
    """The counters of the groups; None without any."""
    found = [known(_counters, None, place, each) for each in _folders(place)]
    counted = [each for each in found if each is not None]
    if not counted:
        return None
    return Throttling(
        max(each.periods for each in counted),
        sum(each.throttled for each in counted),
        sum(each.seconds for each in counted),
    )


def are_there(place: Place) -> bool:
    """Whether this process has control groups at all."""
    return place.read("proc/self/cgroup") is not None


def _folders(place: Place) -> list[Path]:
    """The folder of each group of this process that may have a quota, and of all above it.

    In a container, the path may not exist, because its root is that of the host.
    """
    groups = list(known(lambda: list(_groups(place)), []))
    folders = [root / each for root, path in groups for each in (path, *path.parents)]
    return list(dict.fromkeys(folders))


def _groups(place: Place) -> Iterator[tuple[Path, Path]]:
    """The root and the path of each group that has the controller of the CPU."""
    mounted = list(known(lambda: list(_mounts(place)), []))
    for line in (place.read("proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        names = controllers.split(",")
        if controllers == "":
            roots = [CGROUPS, CGROUPS / "unified"]
            roots += [root for root, version, _ in mounted if version == "cgroup2"]
        elif "cpu" in names:
            roots = [CGROUPS / controllers, CGROUPS / "cpu"]
            roots += [root for root, _, options in mounted if "cpu" in options]
        else:
            continue
        for root in roots:
            yield root, Path(path.lstrip("/"))


def _mounts(place: Place) -> Iterator[tuple[Path, str, list[str]]]:
    """Where each hierarchy of groups is, its version as the kernel names it, and its options."""
    for line in (place.read("proc/self/mounts") or "").splitlines():
        _, at, kind, options, *_ = line.split(" ")
        if kind in ("cgroup", "cgroup2"):
            yield Path(at.lstrip("/")), kind, options.split(",") if kind == "cgroup" else []


def _limit(place: Place, folder: Path) -> float | None:
    """The quota of a group of either version, in CPUs."""
    given, _, period = (place.read(folder / "cpu.max") or "max").partition(" ")
    if given != "max":
        return int(given) / int(period or 100_000)
    each = place.number(folder / "cpu.cfs_quota_us")
    of = place.number(folder / "cpu.cfs_period_us")
    return each / of if each and each > 0 and of else None


def _counters(place: Place, folder: Path) -> Throttling | None:
    lines = (place.read(folder / "cpu.stat") or "").splitlines()
    found = {name: int(number) for name, _, number in (line.partition(" ") for line in lines)}
    if "nr_throttled" not in found:
        return None
    nanoseconds = found.get("throttled_time", 1000 * found.get("throttled_usec", 0))
    return Throttling(found.get("nr_periods", 0), found["nr_throttled"], nanoseconds / 1e9)
