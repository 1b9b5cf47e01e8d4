"""One process run to its end, or ended with all that it has started. Imports no torch."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import BackendFailed

ROOT = Path(__file__).parents[1]


def run(
    command: Sequence[str], deadline: float, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `command` where deploybench can be imported, and wait for it.

    deadline: in seconds. environment: all that it gets of one; None for this process's own. Raises
    BackendFailed when it takes longer. Nothing that it has started outlives it.
    """
    started = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
        cwd=ROOT,
    )
    try:
        output, errors = started.communicate(timeout=deadline)
    except subprocess.TimeoutExpired:
        raise BackendFailed(f"a fresh process gave no answer within {deadline:g} s") from None
    finally:
        with contextlib.suppress(ProcessLookupError):  # it and all of its group have ended
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()
    return subprocess.CompletedProcess(command, started.returncode, output, errors)
