"""The CPUs that a run may use. Imported before torch.

The affinity mask of a process is also that of those that it starts. But OpenMP binds the thread
that loads it: with OMP_PROC_BIND, OMP_PLACES or GOMP_CPU_AFFINITY set, `import torch` leaves this
thread one CPU, and a child would get only that one. So the mask is read when the package is
imported, and every process of a run starts with it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .known import known


def numbers(text: str) -> frozenset[int]:
    """The CPUs in the kernel's notation, for example 0-3,8."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def notation(cpus: Iterable[int]) -> str:
    """CPUs in the kernel's notation."""
    parts: list[list[int]] = []
    for cpu in sorted(cpus):
        if parts and cpu == parts[-1][-1] + 1:
            parts[-1][1:] = [cpu]
        else:
            parts.append([cpu])
    return ",".join("-".join(map(str, part)) for part in parts)


def _of_this_thread() -> frozenset[int]:
    return known(lambda: frozenset(os.sched_getaffinity(0)), frozenset())


def _bound_by_openmp() -> frozenset[int]:
    """The CPUs of the places of every OpenMP that is loaded; empty if it binds no threads.

    Places are made from the mask that the process started with.
    """
    lines = Path("/proc/self/maps").read_text().splitlines()
    files = {line.split(maxsplit=5)[-1] for line in lines if "omp" in line.rpartition("/")[2]}
    return frozenset().union(*(known(_places, frozenset(), file) for file in files))


def _places(file: str) -> frozenset[int]:
    library: Any = ctypes.CDLL(file)
    found: set[int] = set()
    for place in range(library.omp_get_num_places()):
        cpus = (ctypes.c_int * library.omp_get_place_num_procs(place))()
        library.omp_get_place_proc_ids(place, cpus)
        found.update(cpus)
    return frozenset(found)


# torch may have been imported before this package.
_AT_START = _of_this_thread() | known(_bound_by_openmp, frozenset())


def of_run() -> frozenset[int]:
    """The CPUs that this process could use when it started; empty if unknown."""
    return _AT_START


def mask() -> str:
    """The same in the kernel's notation; "" if unknown."""
    return notation(of_run())


@contextmanager
def released() -> Iterator[None]:
    """Let this thread use all CPUs of the run meanwhile.

    Threads and processes that it starts inherit this.
    """
    with bound_to(of_run()):
        yield


@contextmanager
def bound_to(cpus: frozenset[int]) -> Iterator[None]:
    """Let this thread use these CPUs alone meanwhile; an empty set changes nothing."""
    bound = _of_this_thread()
    _bind(cpus)
    try:
        yield
    finally:
        _bind(bound)


def _bind(cpus: frozenset[int]) -> None:
    # The CPUs of a container may be taken from it meanwhile. A process that then starts with fewer
    # says so, and is refused.
    if cpus and cpus != _of_this_thread():
        known(lambda: os.sched_setaffinity(0, cpus), None)
