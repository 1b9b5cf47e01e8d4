"""Runs jobs on this machine: one in each slot at a time."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from ..errors import FileError, first_line, printable
from ..machine import cpus
from ..processes import importing
from ..records import reading
from .job import Job
from .ledger import Entry
from .slots import Slot

SAVED = (0, 1)
"""The exit codes of `bench` that leave a saved run: all right, or something wrong or failed."""


class Local:
    """An engine: runs each job once, in the first slot that is free.

    folder: where the saved run of each job goes, as KEY.json. deadline: seconds for each job.
    command: what measures; the arguments of the job follow it. Its standard input ends with this
    process.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        folder: Path,
        deadline: float,
        command: Sequence[str],
    ) -> None:
        self.slots = list(slots)
        self._folder = folder
        self._deadline = deadline
        self._command = list(command)
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = threading.Event()

    def run(
        self,
        jobs: Sequence[Job],
        begun: Callable[[Job, Slot], None],
        ended: Callable[[Entry], None],
    ) -> None:
        """Run all jobs. begun, ended: called as each begins and ends, never concurrently.

        If anything is raised, Ctrl-C too, the jobs that run are killed, with all that they started.
        """
        waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        for job in jobs:
            waiting.put(job)
        one_at_a_time = threading.Lock()

        def take(slot: Slot) -> None:
            while not self._stopped.is_set():
                try:
                    job = waiting.get_nowait()
                except queue.Empty:
                    return
                with one_at_a_time:
                    begun(job, slot)
                entry = self._measure(job, slot)
                with one_at_a_time:
                    if not self._stopped.is_set():
                        ended(entry)

        with ThreadPoolExecutor(len(self.slots)) as pool:
            try:
                for done in [pool.submit(take, slot) for slot in self.slots]:
                    done.result()
            except BaseException:
                self._stopped.set()
                for process in list(self._running):
                    _kill(process)
                raise

    def _measure(self, job: Job, slot: Slot) -> Entry:
        started = time.monotonic()
        saved = self._folder / f"{job.key}.json"
        unfinished = self._folder / f".{job.key}.{os.getpid()}.json"
        words = [*job.words(), f"--benchmark-json={unfinished}"]
        try:
            reason = self._run([*self._command, *words], slot, unfinished)
            reason = reason or _unreadable(unfinished)
            if not reason:
                unfinished.replace(saved)
        finally:
            unfinished.unlink(missing_ok=True)
        seconds = round(time.monotonic() - started, 3)
        return Entry(job.key, job.model, job.place, slot.name, seconds, reason)

    def _run(self, command: Sequence[str], slot: Slot, saved: Path) -> str:
        """Run a command in a slot; why it did not save its run there, in one line, or ""."""
        its_end, our_end = os.pipe()
        try:
            process = _start(command, slot, its_end)
        finally:
            os.close(its_end)
        self._running.add(process)
        try:
            printed, _ = process.communicate(timeout=self._deadline)
        except subprocess.TimeoutExpired:
            return f"it took longer than the deadline of {self._deadline:g} s"
        finally:
            _kill(process)
            process.wait()
            self._running.discard(process)
            os.close(our_end)
        if process.returncode in SAVED and saved.is_file():
            return ""
        if process.returncode < 0:
            return f"ended by {signal.Signals(-process.returncode).name}"
        return f"exit code {process.returncode}: {_said(printed)}"


def _start(command: Sequence[str], slot: Slot, stdin: int) -> subprocess.Popen[str]:
    with cpus.bound_to(slot.cpus or cpus.of_run()):
        return subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=importing(environment(slot)),
            start_new_session=True,
        )


def environment(slot: Slot) -> Mapping[str, str]:
    """The variables of a job: those of this process, and only the slot's GPU is visible.

    The number of threads follows from the CPUs of the slot.
    """
    own = {"COLUMNS": "1000"}  # so that pytest does not cut its reasons
    if slot.gpu:
        own["CUDA_VISIBLE_DEVICES"] = slot.gpu
    return {**os.environ, **own}


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):  # it and all of its group have ended
        os.killpg(process.pid, signal.SIGKILL)


def _said(printed: str) -> str:
    """The line of pytest's output that says why."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("ERROR", "FAILED", "E  "))]
    return printable((telling or lines or ["it printed nothing"])[-1])


def _unreadable(path: Path) -> str:
    try:
        reading.read(path)
    except FileError as error:
        return first_line(error).replace(str(path), "its saved run")
    return ""
