"""The file of the index of saved runs: opened under a lock, rebuilt if damaged. Imports no torch.

The saved runs stay the truth: the index can be removed at any time. One process at a time uses it.
Where the storage cannot be written, the index is a temporary one in memory, which starts from the
file if there is one.
"""

from __future__ import annotations

import errno
import fcntl
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from ..errors import FileError

INDEX = "history.sqlite3"
LOCK = ".history.lock"
# Marks a file as ours, so that no other program's database is ever removed.
OURS = 0x64627468
# Counts the changes of the tables and of what is stored in them; an index of another is rebuilt.
VERSION = 2
TABLES = """
CREATE TABLE files (
    path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER,
    read_ns INTEGER, digest BLOB, is_ours INTEGER, problem TEXT
) WITHOUT ROWID;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, path BLOB UNIQUE REFERENCES files ON DELETE CASCADE, identity TEXT,
    time REAL, version TEXT, commit_id TEXT, commit_time REAL, branch TEXT, dirty INTEGER,
    cases INTEGER
);
CREATE TABLE cells (
    id INTEGER PRIMARY KEY, model TEXT, weights TEXT, backend TEXT, title TEXT, place INTEGER,
    settings TEXT, UNIQUE (model, weights, backend, title, place, settings)
);
CREATE TABLE conditions (id INTEGER PRIMARY KEY, text TEXT UNIQUE);
CREATE TABLE points (
    run INTEGER REFERENCES runs ON DELETE CASCADE, cell INTEGER, condition INTEGER,
    latency_ms REAL, low_ms REAL, high_ms REAL, ratio REAL, calls INTEGER, disturbed INTEGER,
    status TEXT
);
CREATE TABLE failures (
    run INTEGER REFERENCES runs ON DELETE CASCADE, model TEXT, backend TEXT, title TEXT,
    settings TEXT, kind TEXT, reason TEXT
);
CREATE INDEX points_of_runs ON points (run);
CREATE INDEX points_of_cells ON points (cell);
CREATE INDEX failures_of_runs ON failures (run);
"""
NAMES = {"files", "runs", "cells", "conditions", "points", "failures"}
Found = TypeVar("Found")


class _Damaged(Exception):
    """An index that must be made anew."""


def with_index(
    storage: Path, use: Callable[[sqlite3.Connection], Found], rebuild: bool = False
) -> Found:
    """What `use` returns for the index of `storage`, in one transaction.

    `use` must bring the index up to date itself: it may be empty. rebuild: start with an empty one.
    Raises FileError if the index's file is another program's database.
    """
    try:
        with _locked(storage):
            path = storage / INDEX
            if rebuild:
                _remove(path)
            try:
                return _use(path, use)
            except _Damaged:
                _remove(path)
                with suppress(_Damaged):
                    return _use(path, use)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT):
            raise
    return _use_copy(storage / INDEX, use, rebuild)


def _use(path: Path, use: Callable[[sqlite3.Connection], Found]) -> Found:
    try:
        with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as index:
            _prepare(index, path)
            return _in_transaction(index, use)
    except sqlite3.OperationalError as error:
        # The disk is full, or the storage cannot be written although the lock could.
        if error.sqlite_errorcode & 0xFF in _UNWRITABLE:
            raise OSError(errno.EROFS, str(error), str(path)) from error
        raise _Damaged from error
    except sqlite3.DatabaseError as error:
        raise _Damaged from error


_UNWRITABLE = {
    *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN),
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED),  # another's, or there are no locks
}


def _prepare(index: sqlite3.Connection, path: Path) -> None:
    """Make the tables of a new index. Raises _Damaged if those of an old one cannot be used."""
    index.execute("PRAGMA foreign_keys = ON")
    (owner,), (version,) = (
        index.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
    )
    tables = {
        name for (name,) in index.execute("SELECT name FROM sqlite_master WHERE type='table'")
    }
    if not tables and not owner:
        index.executescript(
            f"BEGIN; {TABLES} PRAGMA application_id = {OURS}; PRAGMA user_version = {VERSION};"
            "COMMIT"
        )
        return
    if owner != OURS:
        raise FileError(f"{path} is not an index of deploybench; move it elsewhere")
    if version != VERSION or not tables >= NAMES:
        raise _Damaged
    if index.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise _Damaged


def _in_transaction(index: sqlite3.Connection, use: Callable[[sqlite3.Connection], Found]) -> Found:
    index.execute("BEGIN IMMEDIATE")
    try:
        found = use(index)
        index.execute("COMMIT")
    except BaseException:
        if index.in_transaction:
            index.execute("ROLLBACK")
        raise
    return found


def _use_copy(path: Path, use: Callable[[sqlite3.Connection], Found], rebuild: bool) -> Found:
    """The same in memory, from a copy of the file if it is whole."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as index:
        try:
            if not rebuild and path.is_file():
                # Immutable: without locks, which a storage that cannot be written may not have.
                address = f"{path.resolve().as_uri()}?immutable=1"
                with closing(sqlite3.connect(address, uri=True)) as stored:
                    stored.backup(index)
            _prepare(index, path)
            return _in_transaction(index, use)
        except (sqlite3.DatabaseError, _Damaged):
            pass
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as index:
        _prepare(index, path)
        return _in_transaction(index, use)


def _remove(path: Path) -> None:
    """Remove the index, with the journal of a process that was killed."""
    if path.is_file() and _is_foreign(path):
        raise FileError(f"{path} is not an index of deploybench; move it elsewhere")
    for suffix in ("-journal", "-wal", "-shm", ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _is_foreign(path: Path) -> bool:
    """Whether it is a database that can be read and has another owner's tables."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as index:
            (owner,) = index.execute("PRAGMA application_id").fetchone()
            return owner != OURS and bool(index.execute("SELECT 1 FROM sqlite_master").fetchone())
    except sqlite3.DatabaseError:
        return False


@contextmanager
def _locked(storage: Path) -> Iterator[None]:
    """A context in which no other process uses the index of `storage`."""
    with (storage / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            # Some network file systems have no locks; the transactions of SQLite are left.
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                raise
        yield
