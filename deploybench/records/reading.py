"""Reads saved runs and the article's logs. Imports no torch.

A saved run is what pytest-benchmark 5.3 writes, with what deploybench adds to it; a run that was
broken off is a folder (checkpoint.py) that holds the same in parts. The history of what is added,
by machine_info.deploybench.format:

2 (deploybench 0.2.0)
    fingerprint: metric, include_copies, dtype, channels_last, cpus, the limits of power and clocks,
    and the version of Python. batch_size names several by commas where the run has several.
    deploybench: run, a random name that a run keeps when it is resumed; failed, a list of model,
    backend, batch_size, column and reason of cases that gave no number; peak, what the device does
    at best (flops_per_second, bytes_per_second); notices, what was seen of the machine (seen,
    effect, mend); noise, its own before and after the run (median, spread).
    extra_info: batch_size; second_call_ms; memory_bytes (by how much the resident memory grew in
    loading and two calls); device_memory_bytes (the most on the GPU meanwhile, None on a CPU and
    where torch does not allocate it); cold_start_seconds (from process start to first answer) and
    cold_start_peak_bytes (the most that this process had resident), None unless asked for; flops
    and weight_bytes (of one call); needs_python (whether it was run from Python); packages (the
    versions of those that it ran on beyond requirements.txt, by name); turns (how many
    samples each turn gave); precision (half the width of the median's interval, as a share);
    device_ms (by CUDA events); disturbed (what by); attempts.
    params: batch_size too, where the run has several.

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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import FileError
from . import checkpoint
from .run import Case, Failure, Run

FORMAT = 2
READABLE = (1, 2)
# Neither a second nor a millisecond figure is longer than thirty years.
LONGEST = 1e9


def read(path: Path) -> Run:
    """Read a saved run, one that was broken off (a folder), or a log.

    Raises FileError for what cannot be read, is neither, or holds what cannot be a result.
    """
    if path.is_dir():
        return _read_saved(path, checkpoint.document(path))
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
        if version not in READABLE:
            raise FileError(
                f"{path} has format {version!r}, this version reads "
                f"{' and '.join(map(str, READABLE))}; read it with "
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
    seen: set[tuple[str, str, object]] = set()
    for case in cases:
        if (case.model, case.column, case.batch_size) in seen:
            raise FileError(f"{path} holds {case.model} in {case.column} twice; save the run anew")
        seen.add((case.model, case.column, case.batch_size))
    try:
        own = document.get("deploybench", {}) if version > 1 else {}
        failed = tuple(
            Failure(
                str(each["model"]), str(each["column"]), _printable(each["reason"]), _size(each)
            )
            for each in own.get("failed", [])
        )
        peak = {str(name): float(rate) for name, rate in (own.get("peak") or {}).items()}
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise FileError(
            f"{path} has a list of failed cases, or of the device's rates, that is none; it may "
            "have been edited; save the run anew"
        ) from error
    return Run(path, fingerprint, cases, own.get("run"), failed, peak)


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
    try:
        _size(info)
    except ValueError as error:
        raise FileError(f"{place}: {model} in {column} has {error}; save the run anew") from error
    if not _are_versions(info.get("packages", {})):
        raise FileError(
            f"{place}: {model} in {column} has packages {info['packages']!r}, which are no "
            "versions by name; save the run anew"
        )
    turns = info.get("turns")
    if turns is not None and not _are_turns(turns, len(seconds)):
        raise FileError(
            f"{place}: {model} in {column} has turns that do not make its {len(seconds)} samples; "
            "it may have been edited; save the run anew"
        )
    return Case(model, backend, column, order, tuple(1e3 * second for second in seconds), info)


def _part(of: Any, *names: str) -> Any:
    """What `of` holds under `names`, one within the other; KeyError with the path to it if not."""
    for name in names:
        if not isinstance(of, dict) or name not in of:
            raise KeyError(".".join(names))
        of = of[name]
    return of


def _size(of: Mapping[str, Any]) -> int | None:
    size = of.get("batch_size")
    if size is not None and type(size) is not int:
        raise ValueError(f"the batch size {size!r}, which is no whole number")
    return size


def _printable(given: object) -> str:
    """As text that any output takes: JSON can hold halves of characters."""
    return str(given).encode(errors="replace").decode()


def _is_name(given: Any) -> bool:
    """Whether `given` can stand in the CSV, where no field is ever quoted."""
    return (
        isinstance(given, str) and given.strip() != "" and given.isprintable() and ";" not in given
    )


def _is_time(given: Any) -> bool:
    """Whether `given` can be how long a call takes, in seconds or in milliseconds."""
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    return is_number and 0 < given < LONGEST


def _are_versions(given: Any) -> bool:
    """Whether `given` is a version, or None, by the name of each package."""
    return isinstance(given, dict) and all(
        version is None or isinstance(version, str) for version in given.values()
    )


def _are_turns(given: Any, samples: int) -> bool:
    """Whether `given` is how many of so many samples each turn gave."""
    whole = isinstance(given, list) and all(type(each) is int and each > 0 for each in given)
    return whole and sum(given) == samples


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
