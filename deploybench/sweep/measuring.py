"""Measures one job: a process of `bench` in a slot, whose saved run is read back."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import FileError, first_line, printable
from ..machine import cpus
from ..processes import importing, kill_group
from ..records import reading
from .job import Job
from .ledger import Entry
from .slots import Slot

SAVED = (0, 1)
"""The exit codes of `bench` that leave a saved run: all right, or something wrong or failed."""
USAGE_ERROR = 4
"""The exit code of `bench` for an option that cannot be used."""
Process = subprocess.Popen[str]


def measure(
    job: Job,
    slot: Slot,
    folder: Path,
    deadline: float,
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    running: set[Process] | None = None,
) -> Entry:
    """Run a job to its end, and return what has become of it.

    folder: where its saved run goes, as KEY.json. deadline: in seconds. command: what measures; the
    arguments of the job follow it. Its standard input ends with this process. environment: its
    variables, None for those of this process. running: has the process while it runs.
    """
    started = time.monotonic()
    unfinished = folder / f".{job.key}.{os.getpid()}.json"
    words = [*command, *job.words(), f"--benchmark-json={unfinished}"]
    variables = of_slot(os.environ if environment is None else environment, slot)
    try:
        ended = _run(words, slot, deadline, variables, set() if running is None else running)
        reason = _why(*ended, unfinished)
        if not reason:
            unfinished.replace(folder / f"{job.key}.json")
    finally:
        unfinished.unlink(missing_ok=True)
    seconds = round(time.monotonic() - started, 3)
    return Entry(job.key, job.model, job.place, slot.name, seconds, reason)


def refusal(job: Job, slot: Slot, deadline: float, command: Sequence[str]) -> str:
    """Why pytest takes the options of a job for wrong, in one line; empty if it takes them."""
    words = [*command, *job.words(), "--collect-only", "--quiet"]
    code, printed = _run(words, slot, deadline, of_slot(os.environ, slot), set())
    return _said(printed) if code == USAGE_ERROR else ""


def of_slot(environment: Mapping[str, str], slot: Slot) -> dict[str, str]:
    """The variables of a job: only the slot's GPU is visible.

    The number of threads follows from the CPUs of the slot.
    """
    own = {"COLUMNS": "1000"}  # so that pytest does not cut its reasons
    if slot.gpu:
        own["CUDA_VISIBLE_DEVICES"] = slot.gpu
    return importing({**environment, **own})


def _run(
    command: Sequence[str],
    slot: Slot,
    deadline: float,
    environment: Mapping[str, str],
    running: set[Process],
) -> tuple[int | None, str]:
    """The exit code of a command in a slot, None after the deadline, and what it printed."""
    its_end, our_end = os.pipe()
    try:
        process = _start(command, slot, environment, its_end)
    finally:
        os.close(its_end)
    running.add(process)
    try:
        printed, _ = process.communicate(timeout=deadline)
    except subprocess.TimeoutExpired:
        return None, ""
    finally:
        kill_group(process)
        process.wait()
        running.discard(process)
        os.close(our_end)
    return process.returncode, printed


def _start(
    command: Sequence[str], slot: Slot, environment: Mapping[str, str], stdin: int
) -> Process:
    with cpus.bound_to(slot.cpus or cpus.of_run()):
        return subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
            start_new_session=True,
        )


def _why(code: int | None, printed: str, saved: Path) -> str:
    """Why a process left no saved run, in one line; empty if it left one."""
    if code is None:
        return "it took longer than the deadline"
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    if code not in SAVED or not saved.is_file():
        return f"exit code {code}: {_said(printed)}"
    try:
        reading.read(saved)
    except FileError as error:
        return first_line(error).replace(str(saved), "its saved run")
    return ""


def _said(printed: str) -> str:
    """The line of pytest's output that says why."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    _, told, usage = printed.partition("main(): error: ")
    if told:
        return printable(usage.splitlines()[0])
    telling = [line for line in lines if line.startswith(("ERROR", "FAILED", "E  "))]
    return printable((telling or lines or ["it printed nothing"])[-1])
