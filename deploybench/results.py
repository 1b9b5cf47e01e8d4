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
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from pytest_benchmark.logger import Logger
from pytest_benchmark.storage.file import FileStorage
from pytest_benchmark.utils import get_machine_id

from .errors import FileError

FORMAT = 1


@dataclass(frozen=True)
class Case:
    """One model through one backend in one run.

    column: the title of its column. order: the column's place from left to right; None for a log,
    whose columns come in the order of the logs. samples: milliseconds of each call; of a log, the
    one figure it gives.
    """

    model: str
    column: str
    order: int | None
    samples: tuple[float, ...]

    @property
    def milliseconds(self) -> float:
        """The median of the calls."""
        return median(self.samples)


@dataclass(frozen=True)
class Run:
    """What one process measured. fingerprint: None for a log, which does not tell."""

    path: Path
    fingerprint: dict[str, Any] | None
    cases: tuple[Case, ...]


def find(names: Iterable[str], storage: str = ".benchmarks") -> list[Path]:
    """The files that `names` stand for: paths, or runs in `storage` by number, name or glob.

    Numbers and globs are looked up by pytest-benchmark itself, as its `compare` does. Raises
    FileError for a name that stands for nothing.
    """
    found: list[Path] = []
    for name in names:
        if Path(name).is_file():
            found.append(Path(name))
            continue
        matches = _stored(name, storage) or _stored(f"*_{name}", storage)
        if not matches:
            there = ", ".join(path.stem for path in _stored("*", storage)) or "none"
            raise FileError(f"'{name}' is no file and no run in {storage}; the runs there: {there}")
        found += matches
    return list(dict.fromkeys(found))


def _stored(pattern: str, storage: str) -> list[Path]:
    if not Path(storage).is_dir():
        return []
    runs = FileStorage(storage, Logger(Logger.QUIET), default_machine_id=get_machine_id())
    try:
        return runs.query(pattern)
    except ValueError as error:
        raise FileError(f"'{pattern}' names no run: {error}") from error


def read(path: Path) -> Run:
    """Read a saved run or a log.

    Raises FileError for what cannot be read, is neither, or holds what cannot be a result.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is neither a saved run nor a log: it is no text") from error
    if any(line.startswith("#head;") for line in text.splitlines()):
        return _read_log(path, text)
    try:
        document = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise FileError(
            f"{path} is neither a whole saved run ({error}) nor a log (no line '#head;TITLE'); "
            "save the run anew"
        ) from error
    return _read_saved(path, document)


def _read_saved(path: Path, document: Any) -> Run:
    try:
        about = document["machine_info"]["deploybench"]
        version, fingerprint = about["format"], about["fingerprint"]
        benchmarks = list(document["benchmarks"])
    except (KeyError, TypeError) as error:
        raise FileError(
            f"{path} is no run of this suite (no {error}); give one that "
            "`pytest tests/perf --benchmark-save=NAME` saved"
        ) from error
    if version != FORMAT:
        raise FileError(
            f"{path} has format {version}, this version reads {FORMAT}; read it with deploybench "
            f"{about.get('version', 'of its own version')} or newer"
        )
    if not isinstance(fingerprint, dict):
        raise FileError(f"{path} has no fingerprint; it may have been edited; save the run anew")
    cases = tuple(_read_case(path, benchmark) for benchmark in benchmarks)
    if not cases:
        raise FileError(f"{path} holds no measurement; save a run that measured something")
    seen: set[tuple[str, str]] = set()
    for case in cases:
        if (case.model, case.column) in seen:
            raise FileError(f"{path} holds {case.model} in {case.column} twice; save the run anew")
        seen.add((case.model, case.column))
    return Run(path, fingerprint, cases)


def _read_case(path: Path, benchmark: Any) -> Case:
    try:
        info = benchmark["extra_info"]
        model, column, order = benchmark["params"]["model"], info["column"], info["column_order"]
        seconds = benchmark["stats"]["data"]
        samples = tuple(1e3 * second for second in seconds)
        sound = bool(samples) and all(map(math.isfinite, samples)) and min(samples) > 0
    except (KeyError, TypeError, OverflowError) as error:
        name = benchmark.get("name", "a case") if isinstance(benchmark, dict) else "a case"
        raise FileError(f"{path}: {name} is not a result of this suite (no {error})") from error
    texts = all(isinstance(name, str) and name for name in (model, column))
    if not (sound and texts and isinstance(order, int)):
        raise FileError(f"{path}: {model} in {column} has samples that are no time; save it anew")
    return Case(model, column, order, samples)


def _read_log(path: Path, text: str) -> Run:
    column, figures = "", dict[str, float]()
    for line in text.splitlines():
        if not line.startswith("#"):
            continue
        name, _, value = line[1:].strip().partition(";")
        value = value.partition(";")[0]
        if name == "head":
            column = value
            continue
        model = name.rpartition("/")[2].partition(".")[0]
        try:
            figures[model] = float(value)
        except ValueError as error:
            raise FileError(f"{path}: '{line}' gives no figure; expected #MODEL;1.23") from error
        if not (math.isfinite(figures[model]) and figures[model] > 0):
            raise FileError(f"{path}: '{line}' gives {value} ms, which is no time")
    cases = tuple(Case(model, column, None, (value,)) for model, value in figures.items())
    return Run(path, None, cases)
