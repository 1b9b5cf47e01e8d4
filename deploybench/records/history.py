"""The saved runs of a folder by cell, from an index beside them. Imports no torch.

The index (history_index.py) is brought up to date whenever it is read: only files that are new or
have changed are parsed, and files that are gone leave it. A file is unchanged if the system reports
the same size, times and inode, or if its content has the same digest.

A cell is a model with its weights, a backend, and the settings that a user chose. What else the
fingerprint has, and the packages that a case ran on, are its conditions: figures of different
conditions are never compared.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..errors import FileError, printable
from .history_index import with_index
from .history_update import Ratio, update
from .record import Value
from .reduced import worst_mark


@dataclass(frozen=True)
class Cell:
    """What figures over time belong to. backend: None if not recorded.

    weights: the beginning of the digest of a user's weights; otherwise None. title, place: of its
    column. settings: by name.
    """

    model: str
    weights: str | None
    backend: str | None
    title: str
    place: int | None
    settings: tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class Run:
    """One process. path: its file, relative to the storage. time, commit_time: since 1970.

    version: of deploybench. commit, commit_time, branch: None if not known. dirty: whether the
    commit had been changed.
    """

    path: str
    time: float
    version: str | None
    commit: str | None
    commit_time: float | None
    branch: str | None
    dirty: bool

    @property
    def name(self) -> str:
        """Its file without folder and suffix."""
        return self.path.rpartition("/")[2].removesuffix(".json")

    @cached_property
    def order(self) -> tuple[float, float, int, str]:
        """The sort key: by the time of the commit, then of the run, then by number.

        The time of a run whose code is not that of a commit stands for both.
        """
        known = self.commit_time is not None and not self.dirty
        number = self.name.partition("_")[0]
        return (
            self.commit_time if known and self.commit_time is not None else self.time,
            self.time,
            int(number) if number.isdecimal() else 0,
            self.path,
        )


@dataclass(frozen=True)
class Point:
    """A cell in one run. condition: a JSON object. latency_ms: the median of its calls.

    low_ms, high_ms: the quartiles of its calls. ratio: to eager in the same process; None without
    eager, and for eager itself. status: of reduced precision, as in Reduced; None for others.
    """

    run: Run
    condition: str
    latency_ms: float
    low_ms: float
    high_ms: float
    ratio: float | None
    calls: int
    disturbed: bool
    status: str | None = None

    @property
    def mark(self) -> str:
        """The mark of reduced precision that is not shown to be within its budget; else empty."""
        return worst_mark([self.status])


@dataclass(frozen=True)
class Failure:
    """A cell without a figure in one run. kind: as in FailedCase."""

    run: Run
    kind: str
    reason: str


@dataclass(frozen=True)
class CellHistory:
    """All that is known of a cell, in the order of the code."""

    cell: Cell
    points: tuple[Point, ...]
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class Recorded:
    """The cells of a storage. runs: how many there are. problems: of damaged files, by line."""

    cells: tuple[CellHistory, ...]
    runs: int
    problems: tuple[str, ...] = ()


def load(
    storage: Path,
    ratio: Ratio,
    wanted: Callable[[Cell], bool] = lambda _: True,
    since: float | None = None,
    rebuild: bool = False,
) -> Recorded:
    """The cells that are `wanted`, with their runs since a time.

    Raises FileError if `storage` is not a folder.
    """
    if not storage.is_dir():
        raise FileError(f"{storage} is not a folder; give the folder of saved runs")

    def use(index: sqlite3.Connection) -> Recorded:
        update(index, storage, ratio)
        return _read(index, wanted, since)

    return with_index(storage, use, rebuild)


def _read(
    index: sqlite3.Connection, wanted: Callable[[Cell], bool], since: float | None
) -> Recorded:
    runs = _runs(index)
    shown = {key: run for key, run in runs.items() if since is None or run.time >= since}
    conditions = dict(index.execute("SELECT id, text FROM conditions"))
    failures = _failures(index, shown)
    found = []
    for key, model, weights, backend, title, place, settings in index.execute(
        "SELECT * FROM cells"
    ).fetchall():
        chosen = tuple(json.loads(settings).items())
        cell = Cell(model, weights, backend, title, place, chosen)
        if not wanted(cell):
            continue
        rows = index.execute(
            "SELECT run, condition, latency_ms, low_ms, high_ms, ratio, calls, disturbed, status"
            " FROM points WHERE cell = ?",
            [key],
        )
        points = [
            Point(
                shown[run], conditions[code], median, low, high, ratio, calls, bool(marked), status
            )
            for run, code, median, low, high, ratio, calls, marked, status in rows
            if run in shown
        ]
        if points:
            points.sort(key=lambda point: point.run.order)
            failed = failures.get((cell.model, cell.title, settings), ())
            found.append(CellHistory(cell, tuple(points), tuple(failed)))
    found.sort(key=lambda each: _place(each.cell))
    problems = index.execute("SELECT problem FROM files WHERE problem != '' ORDER BY path")
    return Recorded(tuple(found), len(shown), tuple(problem for (problem,) in problems))


def _place(cell: Cell) -> tuple[object, ...]:
    return cell.model, cell.place is None, cell.place or 0, cell.title, repr(cell)


def _runs(index: sqlite3.Connection) -> Mapping[int, Run]:
    """Every process by its number, each once: a file may have been resumed or copied."""
    fullest: dict[str, tuple[int, int]] = {}
    found = {}
    rows = index.execute(
        "SELECT id, identity, cases, path, time, version, commit_id, commit_time, branch, dirty"
        " FROM runs ORDER BY path"
    )
    for key, identity, cases, path, moment, version, commit, commit_time, branch, dirty in rows:
        if identity not in fullest or cases > fullest[identity][0]:
            fullest[identity] = cases, key
            name = printable(os.fsdecode(path))
            found[key] = Run(name, moment, version, commit, commit_time, branch, bool(dirty))
    once = {key for _, key in fullest.values()}
    return {key: run for key, run in found.items() if key in once}


def _failures(
    index: sqlite3.Connection, runs: Mapping[int, Run]
) -> Mapping[tuple[str, str, str], list[Failure]]:
    """The failures by model, title and settings."""
    found = defaultdict(list)
    rows = index.execute("SELECT run, model, title, settings, kind, reason FROM failures")
    for run, *cell, kind, reason in rows:
        if run in runs:
            found[tuple(cell)].append(Failure(runs[run], kind, reason))
    for failed in found.values():
        failed.sort(key=lambda failure: failure.run.order)
    return found
