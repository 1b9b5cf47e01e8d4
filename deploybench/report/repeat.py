"""The command that repeats a run, as far as its record says. Imports no torch."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from ..records.record import RunRecord
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
    cells = [(case.model, case.backend) for case in run.cases]
    cells += [(failure.model, failure.backend) for failure in run.failed]
    models = dict.fromkeys(model for model, _ in cells)
    backends = dict.fromkeys(backend for _, backend in cells if backend)
    words = ["deploybench", "bench", "--models", ",".join(models), "--backends", ",".join(backends)]
    for name, (option, default) in OPTIONS.items():
        value = run.fingerprint.get(name)
        if value is not None and value != default:
            words += [option, str(value)]
    words += [flag for name, flag in FLAGS.items() if run.fingerprint.get(name)]
    if run.fingerprint.get("matmul_precision") == "high":
        words += ["--tf32", "on"]
    return " ".join(shlex.quote(visible(word)) for word in words)
