"""Which saved runs a user means: paths, numbers, names and globs. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..errors import FileError, UsageError
from . import checkpoint
from .pooling import by_batch_size, told_apart
from .reading import read
from .record import RunRecord


def load(names: Iterable[str], storage: str = ".benchmarks") -> list[RunRecord]:
    """The runs that `names` stand for, read; each once, and in its fullest form.

    A run that was broken off and resumed may be on the disk twice, as may one that was saved to two
    places; that is still one process. A run of several batch sizes is one run for each. Raises
    FileError and UsageError as `find` and `read` do.
    """
    (runs,) = load_sides([names], storage)
    return runs


def load_sides(
    sides: Iterable[Iterable[str]], storage: str = ".benchmarks"
) -> list[list[RunRecord]]:
    """The runs of each side, as `load` has them, that are to be compared with one another."""
    return told_apart([_load(names, storage) for names in sides])


def _load(names: Iterable[str], storage: str) -> list[RunRecord]:
    fullest: dict[str, RunRecord] = {}
    for path in find(names, storage):
        run = read(path)
        identity = run.identity or str(path.resolve())
        if identity not in fullest or len(run.cases) > len(fullest[identity].cases):
            fullest[identity] = run
    return [part for run in fullest.values() for part in by_batch_size(run)]


def require_other(output: Path | None, runs: Iterable[RunRecord]) -> None:
    """Raises UsageError where `output` is the file of a run: what is read is never written to."""
    if output is not None and output.resolve() in {run.path.resolve() for run in runs}:
        raise UsageError(f"{output} is one of the runs to be read; name another file")


def find(names: Iterable[str], storage: str = ".benchmarks") -> list[Path]:
    """The files that `names` stand for, each once: paths, or runs in the folder `storage`.

    The path of a run that was broken off is its folder.

    Numbers, globs and PLATFORM/GLOB are looked up by pytest-benchmark itself, as its `compare`
    does, over all platforms. A name given to --benchmark-save, or a glob over such names, stands
    for the runs that have it. Raises FileError for what stands for nothing, UsageError for a
    storage that is no folder.
    """
    folder = storage.removeprefix("file://")
    if "://" in folder:
        raise UsageError(f"storage '{storage}' cannot be read: give a folder, or file://FOLDER")
    # By their real paths, so that a run named twice in two ways is not counted as two processes.
    found: dict[Path, Path] = {}
    for name in names:
        for path in _find(name, Path(folder)):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _find(name: str, folder: Path) -> list[Path]:
    try:
        if Path(name).is_file() or (name and (Path(name) / checkpoint.HEADER).is_file()):
            return [Path(name)]
    except OSError as error:
        raise FileError(f"'{name}' cannot be read: {error.strerror}") from error
    stored: list[Path] = []
    if folder.is_dir():  # FileStorage would make a folder that is not there
        # It brings pytest with it, and most runs are given by their paths.
        from pytest_benchmark.logger import Logger
        from pytest_benchmark.storage.file import FileStorage

        storage = FileStorage(folder, Logger(Logger.QUIET))
        stored = storage.query()
        matches = _query(storage, name) or [
            # 0001_run1 is called run1; run10, which a glob run1* would take as well, is not.
            path
            for path in stored
            if fnmatchcase(path.stem.partition("_")[2], name)
        ]
        if matches and name:  # an empty name, a variable left unset, would stand for all runs
            return matches
    there = ", ".join(dict.fromkeys(path.stem for path in stored)) or "none"
    raise FileError(f"'{name}' is no file and no run in {folder}; the runs there: {there}")


def _query(storage: Any, name: str) -> list[Path]:
    try:
        return list(storage.query(name))
    except (ValueError, NotImplementedError):  # what pathlib and it say to no glob of theirs
        return []
