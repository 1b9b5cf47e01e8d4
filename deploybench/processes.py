"""Runs a process to its end, together with all its children, and reads its peak memory.

Imports no torch.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from .errors import BackendFailed
from .machine import cpus
from .machine.known import known

ROOT = Path(__file__).parents[1]


def run(
    command: Sequence[str],
    deadline: float,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    source: Path = ROOT,
) -> subprocess.CompletedProcess[str]:
    """Run `command`, which can import deploybench, and wait for it.

    deadline: in seconds. environment: its other variables; None for those of this process. folder:
    where it runs; None for the current one. source: the folder that it imports deploybench from. It
    may use all CPUs of the run. Raises BackendFailed if it takes longer. All processes that it
    started are ended with it.
    """
    with cpus.released():
        started = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=importing(os.environ if environment is None else environment, source),
            cwd=folder,
            start_new_session=True,
        )
    try:
        output, errors = started.communicate(timeout=deadline)
    except subprocess.TimeoutExpired:
        raise BackendFailed(f"a fresh process gave no answer within {deadline:g} s") from None
    finally:
        kill_group(started)
        started.wait()
    return subprocess.CompletedProcess(command, started.returncode, output, errors)


def kill_group(leader: subprocess.Popen[Any]) -> None:
    """Kill a process that leads a group, and all that it has started in it."""
    with contextlib.suppress(ProcessLookupError):  # it and all of its group have ended
        os.killpg(leader.pid, signal.SIGKILL)


def importing(environment: Mapping[str, str], source: Path = ROOT) -> dict[str, str]:
    """The environment of a process that imports deploybench from where this one did, or `source`.

    It may start in the folder of a user, whose models may open files there; no module of that
    folder hides another.
    """
    path = os.pathsep.join(filter(None, (str(source), environment.get("PYTHONPATH"))))
    return {**environment, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def end_with_parent() -> None:
    """End this process, and all of its group, as soon as the standard input ends.

    The parent keeps the other end of a pipe open as long as it lives, however it ends.
    """
    pipe = os.dup(0)  # pytest replaces the standard input
    threading.Thread(target=_wait_for_end, args=(pipe,), daemon=True).start()


def _wait_for_end(pipe: int) -> None:
    while os.read(pipe, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def own_stdout() -> TextIO:
    """A stream to the standard output for the caller alone, to reply to a parent process.

    What libraries and models print from now on, from C++ too, goes to standard error.
    """
    stream = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return stream


def peak_resident_bytes(pid: int) -> int | None:
    """The peak resident memory of the process since its program started; None without a /proc.

    This is not getrusage's ru_maxrss, which a process inherits from the one that forked it.
    """
    return known(_peak_resident_bytes, None, pid)


def _peak_resident_bytes(pid: int) -> int | None:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    return None
