"""Examines what of this machine disturbs measurements. Imports no torch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from . import processor_findings
from .finding import LOOK, OK, Finding, Place
from .gpu_findings import gpus
from .interference import Watch
from .notices import REMEDIES

PREFIXES = ("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "MALLOC_", "CUDA_", "TORCHINDUCTOR_")
NAMES = (
    *("LD_PRELOAD", "LD_LIBRARY_PATH", "GLIBC_TUNABLES", "TORCH_CUDNN_V8_API_DISABLED"),
    *("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF", "NVIDIA_TF32_OVERRIDE"),
)
# They name places, not behaviour.
HARMLESS = ("CUDA_HOME", "CUDA_PATH", "CUDA_VERSION", "CUDA_CACHE_PATH", "TORCHINDUCTOR_CACHE_DIR")


def examine(
    place: Place, tools: Mapping[str, Callable[[], object]], folders: Mapping[str, Path]
) -> list[Finding]:
    """Every finding.

    tools: by name, what finds a program that builds, or raises the error that says how to get it.
    folders: by name, those that a run writes to.
    """
    processor = [
        examination(place)
        for examination in (
            processor_findings.cores,
            processor_findings.quota,
            processor_findings.governor,
            processor_findings.turbo,
            processor_findings.smt,
            processor_findings.swap,
        )
    ]
    return [
        *processor,
        *load(Watch("cpu")),
        *gpus(),
        *variables(place),
        *(tool(name, find) for name, find in tools.items()),
        *(folder(name, path) for name, path in folders.items()),
    ]


def load(watch: Watch, seconds: float = 0.5) -> list[Finding]:
    """What other processes do, observed for `seconds`."""
    start = watch.look()
    time.sleep(seconds)
    found = watch.between(start, watch.look()).by_kind(watch.limits)
    # The clock of idle cores says nothing about that of a run.
    found.pop("frequency", None)
    if not found:
        return [Finding("other load", OK, f"none worth mentioning in {seconds:g} s")]
    return [
        Finding("other load", LOOK, f"{seen}: {REMEDIES[kind][0]}", REMEDIES[kind][1])
        for kind, seen in found.items()
    ]


def variables(place: Place) -> list[Finding]:
    """The variables that change threads, memory or libraries of every process."""
    found = [
        name
        for name, value in sorted(place.environment.items())
        if value and (name in NAMES or name.startswith(PREFIXES)) and name not in HARMLESS
    ]
    if not found:
        return [Finding("environment", OK, "no variable changes threads, memory or libraries")]
    remedy = "unset it, or set it alike in every run to be compared"
    return [
        Finding("environment", LOOK, f"{name}={_short(place.environment[name])}", remedy)
        for name in found
    ]


def _short(value: str, most: int = 60) -> str:
    line = " ".join(value.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


def tool(name: str, find: Callable[[], object]) -> Finding:
    """Whether a program that builds is there."""
    from ..errors import DeploybenchError

    try:
        return Finding(name, OK, str(find()))
    except DeploybenchError as error:
        seen, _, remedy = str(error).partition(": ")
        return Finding(name, LOOK, seen, remedy)


def folder(name: str, path: Path) -> Finding:
    """Whether a folder, or the one that it would be made in, can be written."""
    there = next((each for each in (path, *path.parents) if each.exists()), path)
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return Finding(name, OK, f"{path} can be written")
    return Finding(name, LOOK, f"{path} cannot be written", f"chown or chmod {there}")
