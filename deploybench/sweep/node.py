"""What a node of a cluster does for a job: measures it and gives back its saved run as bytes."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from ..temporary import TemporaryFolder
from . import measuring
from .job import Job
from .ledger import Entry
from .slots import Slot


def measured(
    job: Job,
    slot: Slot,
    deadline: float,
    command: Sequence[str],
    environment: Mapping[str, str],
) -> tuple[Entry, bytes | None]:
    """What has become of a job, and its saved run; None if it has none.

    deadline: in seconds. command: what measures; the node's own Python replaces its first word. The
    run is saved on the node first, so that a shared folder is not used while something is measured.
    """
    words = [sys.executable, *command[1:]]
    with TemporaryFolder() as folder:
        entry = measuring.measure(job, slot, folder, deadline, words, environment)
        path = folder / f"{job.key}.json"
        return entry, path.read_bytes() if path.exists() else None


def without(environment: Mapping[str, str], *prefixes: str) -> dict[str, str]:
    """The variables that do not begin so: a job must not see that it runs on a cluster."""
    return {name: value for name, value in environment.items() if not name.startswith(prefixes)}
