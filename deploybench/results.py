"""Reads saved runs and the article's logs. Imports no torch.

A saved run is what pytest-benchmark 5.3 writes, with what deploybench adds to it. The history of
what is added, by machine_info.deploybench.format:

1 (deploybench 0.1.0)
    machine_info.deploybench: format, version, and fingerprint, a flat object of everything that
    must be equal for two runs to be pooled.
    benchmarks[]: params {model, backend}, plain strings; stats.data, the seconds of every call;
    extra_info: column and column_order (the table's column and its place), check (verdict, error,
    margin, inputs), artifact_sha256, artifact_bytes, export_seconds, load_seconds, first_call_ms,
    stopped_by.

A log of the article is any text: `#head;TITLE` names its column, `#MODEL;MILLISECONDS` gives a
figure, where MODEL may be a path, and all other lines are passed over.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
from pytest_benchmark.logger import Logger
from pytest_benchmark.storage.file import FileStorage

from .errors import FileError, UsageError

FORMAT = 1
# Neither a second nor a millisecond figure is longer than thirty years.
LONGEST = 1e9

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Case:
    """One model through one backend in one run.

    backend: its name; None for a log, which gives only the title. column: the title of its column.
    order: the column's place from left to right; None for a log, whose columns come in the order of
    the logs. samples: milliseconds of each call; of a log, the one figure it gives. extra_info: all
    else that the run says of the case, as it was saved.
    """

    model: str
    backend: str | None
    column: str
    order: int | None
    samples: tuple[float, ...]
    extra_info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def milliseconds(self) -> float:
        """The median of the calls."""
        return median(self.samples)


@dataclass(frozen=True)
class Run:
    """What one process measured. fingerprint: None for a log, which does not tell."""

    path: Path
    fingerprint: Mapping[str, Value] | None
    cases: tuple[Case, ...]

    @property
    def condition(self) -> str | None:
        """The fingerprint as text: runs may be pooled where it is equal. None for a log.

        As text, since in Python 1 == True, and a name that is missing reads like one that is None.
        """
        return None if self.fingerprint is None else json.dumps(self.fingerprint, sort_keys=True)


def tidy(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per run and case, in the order given.

    Columns: run (its number in `runs`), path, condition (see Run), model, backend, column, order,
    milliseconds (the median of that run's calls) and calls (how many they were). What a log does
    not tell is None, and order is then infinite.
    """
    rows = [
        {
            "run": number,
            "path": run.path,
            "condition": run.condition,
            "model": case.model,
            "backend": case.backend,
            "column": case.column,
            "order": math.inf if case.order is None else case.order,
            "milliseconds": case.milliseconds,
            "calls": len(case.samples),
        }
        for number, run in enumerate(runs)
        for case in run.cases
    ]
    return pd.DataFrame(rows)


def find(names: Iterable[str], storage: str = ".benchmarks") -> list[Path]:
    """The files that `names` stand for, each once: paths, or runs in the folder `storage`.

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
        if Path(name).is_file():
            return [Path(name)]
    except OSError as error:
        raise FileError(f"'{name}' cannot be read: {error.strerror}") from error
    stored: list[Path] = []
    if folder.is_dir():  # FileStorage would make a folder that is not there
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


def _query(storage: FileStorage, name: str) -> list[Path]:
    try:
        return list(storage.query(name))
    except (ValueError, NotImplementedError):  # what pathlib and it say to no glob of theirs
        return []


def read(path: Path) -> Run:
    """Read a saved run or a log.

    Raises FileError for what cannot be read, is neither, or holds what cannot be a result.
    """
    try:
        # A log may hold text in any encoding, and a name that is none is refused later.
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    if any(line.startswith("#head;") for line in text.splitlines()):
        return _read_log(path, text)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(
            f"{path} is neither a whole saved run ({error}) nor a log (no line '#head;TITLE'); "
            "save the run anew"
        ) from error
    return _read_saved(path, document)


def _read_saved(path: Path, document: Any) -> Run:
    try:
        about = _part(document, "machine_info", "deploybench")
        version = _part(about, "format")
        # The format first: what else a newer one holds, and where, is not known here.
        if version != FORMAT:
            raise FileError(
                f"{path} has format {version!r}, this version reads {FORMAT}; read it with "
                f"deploybench {about.get('version', 'of its own version')!s} or newer"
            )
        fingerprint, benchmarks = _part(about, "fingerprint"), _part(document, "benchmarks")
    except KeyError as error:
        raise FileError(
            f"{path} is no run of this suite (no {error.args[0]}); give one that "
            "`pytest tests/perf --benchmark-save=NAME` saved"
        ) from error
    flat = isinstance(fingerprint, dict) and all(
        value is None or isinstance(value, str | int | float) for value in fingerprint.values()
    )
    if not flat or not isinstance(benchmarks, list):
        wrong = "benchmarks that are no list" if flat else "a fingerprint that is no flat object"
        raise FileError(f"{path} has {wrong}; it may have been edited; save the run anew")
    if not benchmarks:
        raise FileError(f"{path} holds no measurement; save a run that measured something")
    cases = tuple(
        _read_case(f"{path}, benchmark {number}", benchmark)
        for number, benchmark in enumerate(benchmarks, start=1)
    )
    seen: set[tuple[str, str]] = set()
    for case in cases:
        if (case.model, case.column) in seen:
            raise FileError(f"{path} holds {case.model} in {case.column} twice; save the run anew")
        seen.add((case.model, case.column))
    return Run(path, fingerprint, cases)


def _read_case(place: str, benchmark: Any) -> Case:
    """The case of one entry of a saved run; errors begin with `place`."""
    try:
        info = _part(benchmark, "extra_info")
        model, backend = (_part(benchmark, "params", name) for name in ("model", "backend"))
        column, order = _part(info, "column"), _part(info, "column_order")
        seconds = _part(benchmark, "stats", "data")
    except KeyError as error:
        raise FileError(
            f"{place}, is not a result of this suite (no {error.args[0]}); give a run of "
            "`pytest tests/perf`"
        ) from error
    for name in (model, backend, column):
        if not _is_name(name):
            raise FileError(f"{place}: {name!r} is no name for a model, backend or column")
    if not isinstance(order, int):
        raise FileError(f"{place}: column_order {order!r} is no whole number; save the run anew")
    if not isinstance(seconds, list) or not seconds:
        raise FileError(f"{place}: {model} in {column} has no samples; save the run anew")
    for second in seconds:
        if not _is_time(second):
            raise FileError(
                f"{place}: {model} in {column} has the sample {second!r}, which is no time in "
                "seconds; save the run anew"
            )
    return Case(model, backend, column, order, tuple(1e3 * second for second in seconds), info)


def _part(of: Any, *names: str) -> Any:
    """What `of` holds under `names`, one within the other; KeyError with the path to it if not."""
    for name in names:
        if not isinstance(of, dict) or name not in of:
            raise KeyError(".".join(names))
        of = of[name]
    return of


def _is_name(given: Any) -> bool:
    """Whether `given` can stand in the CSV, where no field is ever quoted."""
    return (
        isinstance(given, str) and given.strip() != "" and given.isprintable() and ";" not in given
    )


def _is_time(given: Any) -> bool:
    """Whether `given` can be how long a call takes, in seconds or in milliseconds."""
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    return is_number and 0 < given < LONGEST


def _read_log(path: Path, text: str) -> Run:
    column, figures = "", dict[str, float]()
    for line in text.splitlines():
        name, separator, value = line.partition(";")
        if not (line.startswith("#") and separator):
            continue
        name, value = name[1:].strip(), value.partition(";")[0].strip()
        if name == "head":
            column = value
            continue
        model = name.rpartition("/")[2].partition(".")[0]
        try:
            milliseconds = float(value)
        except ValueError as error:
            raise FileError(f"{path}: {line!r} gives no figure; expected #MODEL;1.23") from error
        if not (_is_name(model) and _is_time(milliseconds)):
            wrong = f"{value} ms, which is no time" if _is_name(model) else "a figure to no model"
            raise FileError(f"{path}: {line!r} gives {wrong}; expected #MODEL;1.23")
        figures[model] = milliseconds
    if not _is_name(column):
        raise FileError(f"{path}: its title {column!r} is none; expected #head;TITLE")
    if not figures:
        raise FileError(f"{path} holds no figure; expected lines of the form #MODEL;1.23")
    cases = tuple(Case(model, None, column, None, (value,)) for model, value in figures.items())
    return Run(path, None, cases)
