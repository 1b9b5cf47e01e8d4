"""The command that repeats a run. Imports no torch."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

from ..records.record import RunRecord, Value
from .visible import visible

# By name in the fingerprint: the option, and the value that needs none.
OPTIONS = {
    "device": ("--device", "auto"),
    "threads": ("--threads", None),
    "batch_size": ("--batch-size", 1),
    "dtype": ("--dtype", "float32"),
    "metric": ("--metric", "latency"),
    "neighbours": ("--neighbours", 1),
    "allocator": ("--allocator", "tuned"),
    "weights": ("--weights", "random"),
}
FLAGS = {"include_copies": "--include-copies", "channels_last": "--channels-last"}


def first_alike(run: RunRecord, runs: Iterable[RunRecord]) -> RunRecord:
    """The first of `runs` that was made under the same conditions by the same command."""
    alike = (
        each for each in runs if (each.condition, command(each)) == (run.condition, command(run))
    )
    return next(alike, run)


def command(run: RunRecord) -> str:
    """The command; empty for a log, which records no conditions."""
    if run.fingerprint is None:
        return ""
    words = _by_fingerprint(run) if run.options is None else _by_options(run.options)
    return " ".join(shlex.quote(visible(word)) for word in ["deploybench", "bench", *words])


def _by_options(options: Mapping[str, Value]) -> list[str]:
    words: list[str] = []
    for name, value in options.items():
        words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return words


def _by_fingerprint(run: RunRecord) -> list[str]:
    """As far as a run says it that does not record its options."""
    conditions = run.fingerprint or {}
    cells = [(case.model, case.backend) for case in run.cases]
    cells += [(failure.model, failure.backend) for failure in run.failed]
    models = dict.fromkeys(model for model, _ in cells)
    backends = dict.fromkeys(backend for _, backend in cells if backend)
    words = ["--models", ",".join(models), "--backends", ",".join(backends)]
    for name, (option, default) in OPTIONS.items():
        value = conditions.get(name)
        if value is not None and value != default:
            words += [option, str(value)]
    words += [flag for name, flag in FLAGS.items() if conditions.get(name)]
    if conditions.get("matmul_precision") == "high":
        words += ["--tf32", "on"]
    return words
