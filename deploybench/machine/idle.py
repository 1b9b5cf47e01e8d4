"""Waits until the threads of this process are idle.

The threads of a runtime go on looking for work for some time after a call, in a loop that keeps a
CPU busy: OpenMP's for some milliseconds, ONNX Runtime's for some tens. What is timed meanwhile,
here or in another process, has to share the CPU with them. cpp/idle.cpp does the same.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from time import perf_counter, sleep

PATIENCE_SECONDS = 0.5
"""More than the threads of PyTorch, ONNX Runtime and OpenVINO take."""
_POLL_SECONDS = 0.0005
_POLLS = 2
"""In a row; a thread that waits for its next piece of work is idle for a moment."""


def wait_until_idle(
    patience_seconds: float = PATIENCE_SECONDS, tasks: Path = Path("/proc/self/task")
) -> bool:
    """Wait until no other thread of this process runs; whether that came within the patience.

    tasks: where the kernel tells about threads; without it, nothing is waited for. The kernel knows
    at once whether a thread runs, but how much CPU time it has had only since its last tick.
    """
    end = perf_counter() + patience_seconds
    idle = 0 if _others_run(tasks) else 1
    while idle < _POLLS:
        if perf_counter() > end:
            return False
        sleep(_POLL_SECONDS)
        idle = 0 if _others_run(tasks) else idle + 1
    return True


def _others_run(tasks: Path) -> bool:
    own = str(threading.get_native_id())
    for task in tasks.iterdir() if tasks.is_dir() else ():
        with suppress(OSError):  # a thread that has just ended
            # The name of the thread, which comes before the state, may have any characters.
            state = (task / "stat").read_bytes().rpartition(b") ")[2][:1]
            if state == b"R" and task.name != own:
                return True
    return False
