"""Brings the index of saved runs up to date with their files. Imports no torch."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from ..errors import FileError, printable
from .pooling import SHOWN, by_batch_size
from .record import CaseRecord, FailedCase, RunRecord, Value

SETTINGS = {
    *("device", "threads", "interop_threads", "grad_mode", "cudnn_tf32", "matmul_precision"),
    *("cudnn_benchmark", "cudnn_deterministic", "dtype", "channels_last", "allocator"),
    *("weights", "seed", "batch_size", "metric", "include_copies", "neighbours"),
}
"""What of a fingerprint the user chose; the rest is machine and software."""
REFERENCE = "eager"
# A file that changed so shortly before it was read may change again within the same tick.
TICK_NS = 100_000_000

Ratio = Callable[[CaseRecord, CaseRecord], float]
"""The ratio of a case to another of its model that the same process timed."""


def update(index: sqlite3.Connection, storage: Path, ratio: Ratio) -> None:
    """Bring the index up to date with the files."""
    known = {
        path: (state, digest)
        for path, *state, digest in index.execute(
            "SELECT path, size, mtime_ns, ctime_ns, inode, read_ns, digest FROM files"
        )
    }
    there = dict(_files(storage))
    gone = known.keys() - there.keys()
    index.executemany("DELETE FROM files WHERE path = ?", [(path,) for path in gone])
    for path, state in there.items():
        (*before, read_ns), digest = known.get(path, ([None], None))
        if before == state and max(state[1], state[2]) + TICK_NS < read_ns:
            continue
        _enter(index, storage / os.fsdecode(path), path, state, digest, ratio)


def _files(storage: Path) -> Iterator[tuple[bytes, list[int]]]:
    """The files that may be saved runs, where pytest-benchmark looks for them, with their state."""
    with os.scandir(storage) as entries:
        here = list(entries)
    folders = [entry for entry in here if entry.is_dir()]
    for prefix, listed in [("", here), *((f"{each.name}/", _within(each)) for each in folders)]:
        for entry in listed:
            if entry.name.endswith(".json") and (state := _state(entry)):
                yield os.fsencode(prefix + entry.name), state


def _within(folder: os.DirEntry[str]) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder.path) as entries:
        yield from entries


def _state(entry: os.DirEntry[str]) -> list[int]:
    """What changes with the content of a file; empty for what is none, or no longer there."""
    try:
        state = entry.stat()
    except FileNotFoundError:
        return []
    if not stat.S_ISREG(state.st_mode):
        return []
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino & (2**63 - 1)]


def _enter(
    index: sqlite3.Connection,
    path: Path,
    key: bytes,
    state: Sequence[int],
    known: bytes | None,
    ratio: Ratio,
) -> None:
    """Read a file into the index, unless its content has the digest that is known."""
    read_ns = time.time_ns()
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        index.execute("DELETE FROM files WHERE path = ?", [key])
        return
    except OSError as error:
        content, problem = b"", f"{path} cannot be read: {error.strerror}"
        read_ns = 0  # it is read again the next time, even if it does not change
    else:
        problem = ""
    digest = blake2b(content, digest_size=16).digest()
    if digest == known:
        index.execute(
            "UPDATE files SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ?, read_ns = ?"
            " WHERE path = ?",
            [*state, read_ns, key],
        )
        return
    run: RunRecord | None = None
    about: Mapping[str, Any] = {}
    if not problem:
        run, about, problem = _parse(content, path)
    index.execute("DELETE FROM files WHERE path = ?", [key])
    row = [key, *state, read_ns, digest, run is not None, printable(problem)]
    index.execute("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    if run is not None:
        _enter_run(index, key, digest, run, about, state[1] / 1e9, ratio)


def _parse(content: bytes, path: Path) -> tuple[RunRecord | None, dict[str, Any], str]:
    """The run of a file and what pytest-benchmark says of it; or None and what is wrong with it.

    Nothing is wrong with a file of other benchmarks.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        return None, {}, f"{path} is not a whole saved run ({error}); save the run again"
    machine = found.get("machine_info") if isinstance(found, dict) else None
    if not isinstance(machine, dict) or "deploybench" not in machine:
        return None, {}, ""
    try:
        return RunRecord.from_json(found, path), found, ""
    except FileError as error:
        return None, {}, str(error)


def _enter_run(
    index: sqlite3.Connection,
    key: bytes,
    digest: bytes,
    run: RunRecord,
    about: Mapping[str, Any],
    modified: float,
    ratio: Ratio,
) -> None:
    commit = about.get("commit_info")
    commit = commit if isinstance(commit, dict) else {}
    name = _text(commit.get("id"))
    if name in ("unversioned", "unknown"):
        name = None
    moment = seconds(about.get("datetime"))
    row = (
        key,
        run.identity or digest.hex(),
        modified if moment is None else moment,
        run.version,
        name,
        seconds(commit.get("time")) if name else None,
        _text(commit.get("branch")) if name else None,
        bool(commit.get("dirty")),
        len(run.cases),
    )
    number = index.execute(
        "INSERT INTO runs VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row
    ).lastrowid
    for part in by_batch_size(run):
        settings, machine = _divided(part.fingerprint or {})
        for case in part.cases:
            cell = _cell(case, settings)
            condition = json.dumps({**machine, **case.packages}, sort_keys=True)
            eager = next((each for each in part.cases if _is_reference(each, case)), None)
            figures = _figures(case, None if eager is None else ratio(case, eager))
            ids = _id(index, "cells", cell), _id(index, "conditions", [condition])
            index.execute(
                "INSERT INTO points VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [number, *ids, *figures],
            )
        index.executemany(
            "INSERT INTO failures VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(number, *_failure(case, settings)) for case in part.failed],
        )


def _divided(fingerprint: Mapping[str, Value]) -> tuple[str, dict[str, Value]]:
    """The settings as text, and the rest."""
    chosen = {name: value for name, value in fingerprint.items() if name in SETTINGS}
    rest = {name: value for name, value in fingerprint.items() if name not in SETTINGS}
    return json.dumps(chosen, sort_keys=True), rest


def _cell(case: CaseRecord, settings: str) -> list[Any]:
    weights = case.weights_digest and printable(case.weights_digest[:SHOWN])
    return [case.model, weights, case.backend, case.column, case.column_order, settings]


def _failure(case: FailedCase, settings: str) -> list[Any]:
    return [case.model, case.backend, case.column, settings, case.kind, printable(case.reason)]


def _is_reference(other: CaseRecord, case: CaseRecord) -> bool:
    return other.backend == REFERENCE != case.backend and other.model == case.model


def _figures(case: CaseRecord, ratio: float | None) -> list[Any]:
    samples = case.samples_ms
    low, _, high = quantiles(samples, n=4) if len(samples) > 1 else samples * 3
    # Of two calls, the quartiles would lie outside them.
    low, high = max(low, min(samples)), min(high, max(samples))
    status = case.reduced.status if case.reduced else None
    return [median(samples), low, high, ratio, len(samples), bool(case.disturbed), status]


def _id(index: sqlite3.Connection, table: str, values: Sequence[Any]) -> int:
    """The number of a row of `cells` or `conditions`, which is entered if it is new."""
    names = {
        "cells": ("model", "weights", "backend", "title", "place", "settings"),
        "conditions": ("text",),
    }[table]
    same = " AND ".join(f"{name} IS ?" for name in names)
    found = index.execute(f"SELECT id FROM {table} WHERE {same}", values).fetchone()
    if found:
        return int(found[0])
    marks = ", ".join("?" for _ in names)
    entered = index.execute(f"INSERT INTO {table} VALUES (NULL, {marks})", values)
    return int(entered.lastrowid or 0)


def _text(given: Any) -> str | None:
    return printable(given) if isinstance(given, str) and given.strip() else None


def seconds(given: Any) -> float | None:
    """A time in ISO 8601 as seconds since 1970; without a zone, it is in UTC."""
    try:
        moment = datetime.fromisoformat(given)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
