"""The folder of a sweep: saved runs of its jobs, the ledger, and the runs that they are joined to.

FOLDER/jobs/KEY.json   the saved run of a job
FOLDER/jobs.jsonl      what has become of each job
FOLDER/runs/*.json     one saved run for each condition and repeat
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import FileError, UsageError
from ..records import reading
from . import merging
from .job import Job


class Folder:
    """The folder at `path`, which is made if it is missing. Raises FileError if it cannot be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.jobs = path / "jobs"
        try:
            self.jobs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(
                f"{path} cannot be made a folder: {error.strerror or error}; name another with -o"
            ) from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A context in which no other sweep uses the folder. Raises UsageError if one does."""
        with (self.path / ".lock").open("w") as lock:
            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                raise UsageError(
                    f"another sweep is writing to {self.path}; wait until it has ended, or name "
                    "another folder with -o"
                ) from None
            except OSError:
                pass  # where there are no locks, there is no protection
            self._remove_unfinished()
            yield

    def _remove_unfinished(self) -> None:
        """What a sweep that was killed left in the middle of writing."""
        for pattern in (".*.json", ".*.unfinished"):
            for path in self.jobs.glob(pattern):
                with suppress(OSError):
                    path.unlink()

    def pending(self, jobs: Sequence[Job]) -> list[Job]:
        """The jobs without a saved run that can be read."""
        return [job for job in jobs if not self._is_done(job)]

    def _is_done(self, job: Job) -> bool:
        try:
            reading.read(self.jobs / f"{job.key}.json")
        except FileError:
            return False
        return True

    def merge(self, jobs: Sequence[Job]) -> list[Path]:
        """Join the saved runs of the jobs that are done; the paths of the runs."""
        return merging.merge(jobs, self.jobs, self.path / "runs")
