"""The record of a run and its cases, and their form in JSON. Imports no torch.

A saved run is a file of pytest-benchmark 5.3 with the additions of deploybench. An unfinished run
is a folder (checkpoint.py) with the same content in parts. Each stored field is declared with the
kind of its values. The history of the additions, by machine_info.deploybench.format:

3 (deploybench 0.3.0)
    deploybench.failed[]: kind, "wrong" for a wrong answer and "failed" for any other failure. In
    older runs, a wrong answer is one whose reason begins with "different".
    extra_info: weights_digest, reduced, neighbours_ms.
    deploybench.options: the options that were not at their defaults, by name.

2 (deploybench 0.2.0)
    fingerprint: metric, include_copies, dtype, channels_last, cpus, the limits of power and clocks,
    and the version of Python. batch_size is a list separated by commas if the run has several.
    deploybench: run, a random name that stays when it is resumed; failed, peak, notices, noise.
    extra_info: batch_size, second_call_ms, memory_bytes, device_memory_bytes, cold_start_seconds,
    cold_start_peak_bytes, flops, weight_bytes, needs_python, packages, turns, precision, device_ms,
    disturbed, attempts.
    params: batch_size, if the run has several.

1 (deploybench 0.1.0)
    machine_info.deploybench: format, version, and fingerprint, a flat object of everything that
    must be equal for two runs to be pooled.
    benchmarks[]: params {model, backend}, plain strings; stats.data, the seconds of every call;
    options.timer, the clock; extra_info: column and column_order, check, artifact_sha256,
    artifact_bytes, export_seconds, load_seconds, first_call_ms, stopped_by.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from ..errors import FileError
from . import kinds
from .fields import as_json, object_of, optional, refused, required, stored, stored_fields
from .reduced import Reduced

FORMAT = 3
READABLE = (1, 2, 3)

WRONG, FAILED = "wrong", "failed"
Value = str | int | float | bool | None


@dataclass(frozen=True)
class Check:
    """The result of checking a case's answers to `inputs` inputs against the reference.

    error: the largest distance from the reference. margin: the smallest gap between its best
    classes; None for tasks without classes. Both are in units of eager's own error.
    """

    verdict: str = stored(kinds.text)
    error: float = stored(kinds.amount)
    margin: float | None = stored(kinds.or_none(kinds.amount))
    inputs: int = stored(kinds.count)
    reason: str = stored(kinds.text, "")


@dataclass(frozen=True)
class CaseRecord:
    """One model through one backend in one run.

    backend: its name; None for a log, which has only the title. column: the title of its column in
    a table. column_order: that column's position from left to right; None for a log, whose columns
    are in the order of the logs. samples_seconds: the latency of each call; the single figure of a
    log. clock: the clock that timed them. Fields that an older run lacks are None or empty.

    batch_size: inputs per call. flops, weight_bytes: of one call. export_seconds: None if nothing
    is exported. memory_bytes: the growth of resident memory by loading and two calls.
    device_memory_bytes: the peak on the GPU meanwhile; None on a CPU, and if torch does not
    allocate it. cold_start_seconds: from the start of a fresh process to its first answer;
    cold_start_peak_bytes: the peak of its resident memory; both None without --cold-start.
    needs_python: whether it ran from Python. packages: the versions of the packages that it ran on
    beyond requirements.txt. stopped_by: the bound that ended its timing. precision: half the width
    of the median's confidence interval, as a share. turns: the number of samples in each round.
    device_ms: the times of further calls by CUDA events. neighbours_ms: the median latency of each
    copy of the model that was called meanwhile, with --neighbours. disturbed: what disturbed it.
    attempts: how often its model was timed. weights_digest: of the user's state dict; None for
    random and pretrained weights. reduced: the verdict on a backend of reduced precision, or None.
    """

    model: str
    backend: str | None
    column: str
    column_order: int | None
    samples_seconds: tuple[float, ...]
    _: KW_ONLY
    clock: str | None = None
    check: Check | None = stored(object_of(Check), None)
    batch_size: int | None = stored(kinds.positive, None)
    flops: int | None = stored(kinds.count, None)
    weight_bytes: int | None = stored(kinds.count, None)
    artifact_sha256: str | None = stored(kinds.text, None)
    artifact_bytes: int | None = stored(kinds.count, None)
    export_seconds: float | None = stored(kinds.duration, None)
    load_seconds: float | None = stored(kinds.duration, None)
    first_call_ms: float | None = stored(kinds.duration, None)
    second_call_ms: float | None = stored(kinds.duration, None)
    memory_bytes: int | None = stored(kinds.count, None)
    device_memory_bytes: int | None = stored(kinds.count, None)
    cold_start_seconds: float | None = stored(kinds.duration, None)
    cold_start_peak_bytes: int | None = stored(kinds.count, None)
    needs_python: bool | None = stored(kinds.flag, None)
    packages: Mapping[str, str | None] = stored(kinds.by_name(kinds.or_none(kinds.text)), dict)
    stopped_by: str | None = stored(kinds.text, None)
    precision: float | None = stored(kinds.amount, None)
    turns: tuple[int, ...] | None = stored(kinds.list_of(kinds.positive), None)
    device_ms: tuple[float, ...] = stored(kinds.list_of(kinds.duration), ())
    neighbours_ms: tuple[float, ...] = stored(kinds.list_of(kinds.duration), ())
    disturbed: tuple[str, ...] = stored(kinds.list_of(kinds.text), ())
    attempts: int | None = stored(kinds.count, None)
    weights_digest: str | None = stored(kinds.text, None)
    reduced: Reduced | None = stored(object_of(Reduced), None)

    @cached_property
    def samples_ms(self) -> tuple[float, ...]:
        """The latency of each call in milliseconds."""
        return tuple(1e3 * sample for sample in self.samples_seconds)

    @cached_property
    def latency_ms(self) -> float:
        """The median latency in milliseconds."""
        return median(self.samples_ms)

    def extra_info(self) -> dict[str, Any]:
        """What pytest-benchmark saves together with the samples."""
        return {"column": self.column, "column_order": self.column_order, **as_json(self)}

    def to_json(self) -> dict[str, Any]:
        """An entry of a saved run's `benchmarks`."""
        return {
            "params": {"model": self.model, "backend": self.backend},
            "stats": {"data": list(self.samples_seconds)},
            "options": {"timer": self.clock},
            "extra_info": self.extra_info(),
        }

    @classmethod
    def from_json(cls, content: Any, place: str) -> CaseRecord:
        """The case of such an entry. Raises FileError with a message that begins with `place`."""
        with refused(place):
            model, backend = (
                required(content, f"params.{key}", kinds.name) for key in ("model", "backend")
            )
            info = required(content, "extra_info", kinds.an_object)
            column = required(content, "extra_info.column", kinds.name)
            order = required(content, "extra_info.column_order", kinds.whole)
        place = f"{place}: {model} in {column}"
        with refused(place):
            samples = required(content, "stats.data", kinds.list_of(kinds.seconds))
            clock = optional(optional(content, "options", kinds.an_object, {}), "timer", kinds.text)
            found = stored_fields(cls, info)
        case = cls(model, backend, column, order, samples, clock=clock, **found)
        if not samples:
            raise FileError(f"{place} has no samples; save the run again")
        if case.turns is not None and sum(case.turns) != len(samples):
            total = f"{len(samples)} samples"
            raise FileError(
                f"{place} has turns that do not add up to its {total}; save the run again"
            )
        return case


@dataclass(frozen=True)
class FailedCase:
    """A case without a figure, and why. kind: WRONG for a wrong answer, otherwise FAILED.

    backend, batch_size: None if the run does not record them.
    """

    model: str = stored(kinds.name)
    column: str = stored(kinds.name)
    reason: str = stored(kinds.text)
    kind: str = stored(kinds.one_of(WRONG, FAILED), FAILED)
    backend: str | None = stored(kinds.name, None)
    batch_size: int | None = stored(kinds.positive, None)

    @classmethod
    def from_json(cls, content: Any) -> FailedCase:
        """The case of an entry of `deploybench.failed`. Raises Unfit for an invalid entry."""
        found = stored_fields(cls, kinds.an_object(content))
        kind = WRONG if found["reason"].startswith("different") else FAILED
        return cls(**{"kind": kind, **found})


@dataclass(frozen=True)
class Peak:
    """The measured peak rates of the device: operations, and bytes read or written."""

    flops_per_second: float = stored(kinds.rate)
    bytes_per_second: float = stored(kinds.rate)


@dataclass(frozen=True)
class Notice:
    """What was observed on the machine, its effect on the figures, and what to do."""

    seen: str = stored(kinds.text)
    effect: str = stored(kinds.text)
    remedy: str = stored(kinds.text, key="mend")

    def line(self) -> str:
        """All three in one line."""
        return f"{self.seen}: {self.effect}; {self.remedy}"


@dataclass(frozen=True)
class MachineNoise:
    """The time of a fixed workload. spread: the interquartile range as a share of the median."""

    median_seconds: float = stored(kinds.duration, key="median")
    spread: float = stored(kinds.amount)


@dataclass(frozen=True)
class Noise:
    """The noise of the machine before and after the run; None if it was not measured."""

    before: MachineNoise | None = stored(object_of(MachineNoise), None)
    after: MachineNoise | None = stored(object_of(MachineNoise), None)


@dataclass(frozen=True)
class RunRecord:
    """What one process measured.

    path: its file or folder. fingerprint: what must be equal for two runs to be pooled; None for a
    log. identity: the run's random name, which identifies it in any file. failed: the cases without
    a figure. peak: the rates of the device. notices: observations of the machine. version: the
    version of deploybench that saved it. options: those that repeat it, by name, with true for a
    flag. Fields that an older run lacks are None.
    """

    path: Path
    fingerprint: Mapping[str, Value] | None
    cases: tuple[CaseRecord, ...] = ()
    identity: str | None = stored(kinds.text, None, key="run")
    failed: tuple[FailedCase, ...] = stored(kinds.list_of(FailedCase.from_json), ())
    peak: Peak | None = stored(object_of(Peak), None)
    notices: tuple[Notice, ...] = stored(kinds.list_of(object_of(Notice)), ())
    noise: Noise | None = stored(object_of(Noise), None)
    version: str | None = None
    format: int = FORMAT
    options: Mapping[str, Value] | None = stored(kinds.or_none(kinds.by_name(kinds.scalar)), None)

    @property
    def condition(self) -> str | None:
        """The fingerprint as text: runs with the same text may be pooled. None for a log.

        It is text because in Python 1 == True, and because a missing name differs from None.
        """
        return None if self.fingerprint is None else json.dumps(self.fingerprint, sort_keys=True)

    @property
    def packages(self) -> Mapping[str, str | None]:
        """The versions of the packages that its cases ran on, beyond what every run needs."""
        return {name: version for case in self.cases for name, version in case.packages.items()}

    def to_json(self) -> dict[str, Any]:
        """A saved run, as far as deploybench writes it."""
        conditions = dict(self.fingerprint or {})
        about = {"format": self.format, "version": self.version, "fingerprint": conditions}
        return {
            "machine_info": {"deploybench": about},
            "deploybench": as_json(self),
            "benchmarks": [case.to_json() for case in self.cases],
        }

    @classmethod
    def from_json(cls, content: Any, path: Path) -> RunRecord:
        """The run of a saved run's JSON, which was read from `path`.

        Raises FileError for JSON that is not a run of deploybench or contains an invalid result.
        """
        with refused(str(path)):
            about = required(content, "machine_info.deploybench", kinds.an_object)
            # The format first, because the contents of a newer format are unknown here.
            form = required(content, "machine_info.deploybench.format", kinds.whole)
            version = optional(about, "version", kinds.text)
            if form not in READABLE:
                raise FileError(
                    f"{path} has format {form}, but this version reads 1 to {FORMAT}; read it with "
                    f"deploybench {version or 'of its own version'} or newer"
                )
            fingerprint = required(
                content, "machine_info.deploybench.fingerprint", kinds.by_name(kinds.scalar)
            )
            optional(fingerprint, "batch_size", kinds.batch_sizes)
            benchmarks = required(content, "benchmarks", kinds.a_list)
            own = stored_fields(cls, optional(content, "deploybench", kinds.an_object, {}))
        cases = tuple(
            CaseRecord.from_json(benchmark, f"{path}, benchmark {number}")
            for number, benchmark in enumerate(benchmarks, start=1)
            if not kinds.is_of_another_test(benchmark)
        )
        cells = Counter((case.model, case.column, case.batch_size) for case in cases)
        for (model, column, _), times in cells.items():
            if times > 1:
                raise FileError(f"{path} has {model} in {column} twice; save the run again")
        return cls(path, fingerprint, cases, **own, version=version, format=form)
