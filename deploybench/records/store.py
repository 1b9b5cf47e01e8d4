"""Finds saved runs by path, number, name or glob. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..errors import FileError, UsageError
from . import checkpoint
from .pooling import comparable
from .reading import read
from .record import RunRecord

LATEST = "latest"


def load(names: Iterable[str], storage: str = ".benchmarks") -> list[RunRecord]:
    """Read the runs that `names` mean; each once, in its most complete form.

    A run may be on the disk twice, because it was resumed or saved to two places; it is still one
    process. A run with several batch sizes becomes one run for each. Raises FileError and
    UsageError as `find` and `read` do.
    """
    (runs,) = load_sides([names], storage)
    return runs


def load_sides(
    sides: Iterable[Iterable[str]], storage: str = ".benchmarks"
) -> list[list[RunRecord]]:
    """The runs of each side of a comparison, as `load` returns them."""
    return comparable(*(_load(names, storage) for names in sides))


def _load(names: Iterable[str], storage: str) -> list[RunRecord]:
    fullest: dict[str, RunRecord] = {}
    for path in find(names, storage):
        run = read(path)
        identity = run.identity or str(path.resolve())
        if identity not in fullest or len(run.cases) > len(fullest[identity].cases):
            fullest[identity] = run
    return list(fullest.values())


def require_other(output: Path | None, runs: Iterable[RunRecord]) -> None:
    """Raise UsageError if `output` is the file of one of `runs`, which is never overwritten."""
    if output is not None and output.resolve() in {run.path.resolve() for run in runs}:
        raise UsageError(f"{output} is one of the runs to be read; name another file")


def find(names: Iterable[str], storage: str = ".benchmarks") -> list[Path]:
    """The files that `names` mean, each once: paths, or runs in the folder `storage`.

    The path of an unfinished run is its folder.

    pytest-benchmark itself looks up numbers, globs and PLATFORM/GLOB, as its `compare` does, over
    all platforms. A name given to --benchmark-save, or a glob over such names, means all runs that
    have it. If none has it, `latest` and -1 mean the run saved last, -2 the one before, and so on.
    Raises FileError for a name without a match, and UsageError for a storage that is not a
    folder.
    """
    there = folder(storage)
    # By their real paths, so that a run given twice in two ways is not counted as two processes.
    found: dict[Path, Path] = {}
    for name in names:
        for path in _find(name, there):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def folder(storage: str) -> Path:
    """The folder that --storage means. Raises UsageError for another place, such as a server."""
    path = storage.removeprefix("file://")
    if "://" in path:
        raise UsageError(f"storage '{storage}' is not a folder; give a folder, or file://FOLDER")
    return Path(path)


def _find(name: str, folder: Path) -> list[Path]:
    try:
        if Path(name).is_file() or (name and (Path(name) / checkpoint.HEADER).is_file()):
            return [Path(name)]
    except OSError as error:
        raise FileError(f"'{name}' cannot be read: {error.strerror}") from error
    stored: list[Path] = []
    if folder.is_dir():  # FileStorage would create a missing folder
        # This imports pytest, and most runs are given by their paths.
        from pytest_benchmark.logger import Logger
        from pytest_benchmark.storage.file import FileStorage

        storage = FileStorage(folder, Logger(Logger.QUIET))
        stored = storage.query()
        matches = _query(storage, name) or [
            # 0001_run1 is called run1; a glob run1* would also match run10.
            path
            for path in stored
            if fnmatchcase(path.stem.partition("_")[2], name)
        ]
        matches = matches or _by_age(stored, name)
        if matches and name:  # an empty name, such as an unset variable, would match all runs
            return matches
    there = ", ".join(dict.fromkeys(path.stem for path in stored)) or "none"
    raise FileError(f"'{name}' is neither a file nor a run in {folder}; the runs there: {there}")


def _by_age(stored: Sequence[Path], name: str) -> list[Path]:
    """The run that `latest`, -1, -2 and so on mean: the last one, the one before it.

    By the time when its file was written, since the numbers begin again on each platform.
    """
    back = 1 if name == LATEST else int(name[1:]) if re.fullmatch(r"-[0-9]{1,4}", name) else 0
    if not 0 < back <= len(stored):
        return []
    return [sorted(stored, key=lambda path: (path.stat().st_mtime_ns, path.name))[-back]]


def _query(storage: Any, name: str) -> list[Path]:
    try:
        return list(storage.query(name))
    except (ValueError, NotImplementedError):  # not a valid glob
        return []
