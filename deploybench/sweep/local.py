"""Runs jobs on this machine: one in each slot at a time."""

from __future__ import annotations

import queue
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..processes import kill_group
from . import measuring
from .engine import Begun, Ended, unnoticed
from .job import Job
from .ledger import Entry
from .slots import Slot


class Local:
    """Runs each job once, in the first slot that is free; see `engine.Engine`.

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
        self._slots = list(slots)
        self.width = len(self._slots)
        self.where = "; ".join(slot.name for slot in self._slots)
        self._folder = folder
        self._deadline = deadline
        self._command = list(command)
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = threading.Event()

    def run(self, jobs: Sequence[Job], ended: Ended, begun: Begun = unnoticed) -> None:
        """Run all jobs; see `engine.Engine`.

        If anything is raised, the jobs that run are killed, with all that they started.
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
                    begun(job, slot.name)
                entry = self._measure(job, slot)
                with one_at_a_time:
                    if not self._stopped.is_set():
                        ended(entry)

        with ThreadPoolExecutor(self.width) as pool:
            try:
                for done in [pool.submit(take, slot) for slot in self._slots]:
                    done.result()
            except BaseException:
                self._stopped.set()
                for process in list(self._running):
                    kill_group(process)
                raise

    def _measure(self, job: Job, slot: Slot) -> Entry:
        return measuring.measure(
            job, slot, self._folder, self._deadline, self._command, running=self._running
        )
