"""What runs the jobs of a sweep: on this machine, or on many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from .job import Job
from .ledger import Entry

Ended = Callable[[Entry], None]
"""Told what has become of a job."""
Begun = Callable[[Job, str], None]
"""Told a job and the place where it runs, or the queue that it waits in."""


def unnoticed(job: Job, where: str) -> None:
    """For those who do not ask which jobs have begun."""


class Engine(Protocol):
    """Runs jobs, each as a process of `bench` that has its cores and its GPU to itself.

    width: how many jobs run at a time. where: the places where they run, in words.
    """

    width: int
    where: str

    def run(self, jobs: Sequence[Job], ended: Ended, begun: Begun = unnoticed) -> None:
        """Run all jobs; each one's saved run is in the sweep's folder before `ended` is called.

        Neither `ended` nor `begun` is called while the other is. If anything is raised, Ctrl-C too,
        no job goes on.
        """
