"""What has become of each job, one line of JSON each, in the order in which they ended."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from ..errors import FileError
from .job import Job

NAME = "jobs.jsonl"


@dataclass(frozen=True)
class Entry:
    """The end of a job. seconds: how long it took. slot: where it ran. reason: empty if it has a
    saved run, otherwise why not, in one line."""

    key: str
    model: str
    place: str
    slot: str
    seconds: float
    reason: str = ""


def append(folder: Path, entry: Entry) -> None:
    """Add an entry; it is on the disk when this returns. Raises FileError."""
    path = folder / NAME
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(entry)) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror or error}") from error


def read(folder: Path) -> list[Entry]:
    """All entries; a line that was cut off in the middle is left out."""
    try:
        lines = (folder / NAME).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise FileError(f"{folder / NAME} cannot be read: {error.strerror}") from error
    entries = []
    for line in lines:
        with suppress(ValueError, TypeError):
            entries.append(parsed(line))
    return entries


def parsed(text: str) -> Entry:
    """The entry of a line. Raises ValueError or TypeError if it is none."""
    entry = Entry(**json.loads(text))
    return Entry(**{**asdict(entry), "seconds": float(entry.seconds)})


def expected_seconds(jobs: Iterable[Job], entries: Iterable[Entry]) -> float | None:
    """How long `jobs` will take one after the other; None if no job has been measured yet.

    A job is expected to take the median of its model's, or of all if its model has none.
    """
    by_model: dict[str, list[float]] = {}
    for entry in entries:
        if not entry.reason:
            by_model.setdefault(entry.model, []).append(entry.seconds)
    if not by_model:
        return None
    of_all = median([seconds for several in by_model.values() for seconds in several])
    of_model = {model: median(several) for model, several in by_model.items()}
    return sum(of_model.get(job.model, of_all) for job in jobs)
