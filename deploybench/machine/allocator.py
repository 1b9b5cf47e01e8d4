"""Tunes glibc's allocator to keep memory that a call frees for the next call. Imports no torch.

By default, glibc returns a large freed block to the kernel or keeps it, depending on thresholds
that follow what the process has freed before (mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD).
So of two processes that run the same model, one may get thousands of zeroed pages again in each
call, and the other none. When tuned, glibc keeps every block in every process until the model is
released. In a deployment, these environment variables have the same effect:
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
    """Whether the C library of this process can keep freed memory."""
    return all(hasattr(_library(), name) for name in ("mallopt", "malloc_trim"))


def tune() -> None:
    """Keep freed memory from now on, if the C library can; this cannot be undone."""
    global _in_force
    most = -1  # glibc reads it as the largest number of bytes
    options = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: most}
    if tunable() and all(_library().mallopt(*option) for option in options.items()):
        _in_force = TUNED


def in_force() -> str:
    """TUNED if this process was tuned, else DEFAULT."""
    return _in_force


def release() -> None:
    """Return free memory to the kernel."""
    if tunable():
        _library().malloc_trim(0)
