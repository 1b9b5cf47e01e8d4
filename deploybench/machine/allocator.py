"""glibc's allocator: whether memory that a call frees is kept for the next one. Imports no torch.

As it comes, glibc hands a large block back to the kernel when it is freed, or keeps it, by
thresholds that follow what the process happens to have freed before (mallopt(3), M_MMAP_THRESHOLD
and M_TRIM_THRESHOLD). So of two processes that run the same model one may be given thousands of
pages anew in each call, zeroed, and the other none. Tuned, it keeps every block, in every process,
until the model goes. What does the same in a deployment is the environment:
MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=1099511627776
"""

from __future__ import annotations

import ctypes
from functools import cache

TUNED, DEFAULT = "tuned", "default"
# malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4

_in_force = DEFAULT


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def tunable() -> bool:
    """Whether the C library of this process can be told to keep memory."""
    return all(hasattr(_library(), name) for name in ("mallopt", "malloc_trim"))


def tune() -> None:
    """Keep freed memory from now on, where the C library can; it cannot be undone."""
    global _in_force
    most = -1  # taken as the largest number of bytes
    options = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: most}
    if tunable() and all(_library().mallopt(*option) for option in options.items()):
        _in_force = TUNED


def in_force() -> str:
    """TUNED, or DEFAULT where this process never was."""
    return _in_force


def release() -> None:
    """Hand what is free back to the kernel."""
    if tunable():
        _library().malloc_trim(0)
