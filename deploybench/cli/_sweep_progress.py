"""The progress of a sweep: a line for each job that ends, and on a terminal what runs now."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..sweep.folder import Folder
    from ..sweep.job import Job
    from ..sweep.ledger import Entry

SHOWN = 16
"""How many of the jobs that run are listed at most."""


class Progress:
    """Prints a line for each job as it ends, keeps the ledger, and shows what runs.

    known: jobs measured earlier, from which the time that is left is estimated. width: how many
    jobs run at a time. clock: in seconds.
    """

    def __init__(
        self,
        pending: Sequence[Job],
        folder: Folder,
        known: Sequence[Entry],
        width: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._left = {job.key: job for job in pending}
        self._count = len(pending)
        self._folder = folder
        self._known = list(known)
        self._width = width
        self._clock = clock
        self._running: dict[str, tuple[str, str, float]] = {}
        # Not at each refresh of a terminal: that would take time from what is measured.
        self._time_left = self._estimated()
        self._print: Callable[[str], None] = _printed
        self.failed: list[Entry] = []

    @contextmanager
    def shown(self) -> Iterator[None]:
        """A context in which a terminal shows what runs, below the lines of what has ended."""
        if not self._left or not sys.stdout.isatty():
            yield
            return
        from ..report import live

        with live.changing(self.view) as self._print:
            yield
        self._print = _printed

    def begun(self, job: Job, where: str) -> None:
        """Note a job that runs now."""
        self._running[job.key] = job.label, where, self._clock()

    def ended(self, entry: Entry) -> None:
        """Print a job that has ended."""
        from ..sweep import ledger

        ledger.append(self._folder.path, entry)
        self._known.append(entry)
        del self._left[entry.key]
        self._running.pop(entry.key, None)
        if entry.reason:
            self.failed.append(entry)
        self._time_left = self._estimated()
        words = f"failed: {entry.reason}" if entry.reason else f"{entry.seconds:.0f} s"
        number = self._count - len(self._left)
        self._print(
            f"[{number}/{self._count}] {entry.model} {entry.place}  {words}{self._time_left}"
        )

    def view(self) -> list[str]:
        """What runs now, and how far the sweep is, in lines."""
        lines = [
            f"  {label}  on {where}  {duration(self._clock() - since)}"
            for label, where, since in list(self._running.values())
        ]
        if len(lines) > SHOWN:
            lines[SHOWN:] = [f"  and {len(lines) - SHOWN} more"]
        done = f"{self._count - len(self._left)} of {self._count} jobs done"
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return [*lines, f"{done}{failed}{self._time_left}"]

    def _estimated(self) -> str:
        from ..sweep import ledger

        seconds = ledger.expected_seconds(list(self._left.values()), self._known)
        return f"; about {duration(seconds / self._width)} left" if seconds else ""


def _printed(line: str) -> None:
    print(line, flush=True)


def duration(seconds: float) -> str:
    """A time in words: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
