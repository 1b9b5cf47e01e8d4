"""Examines what of this machine disturbs measurements. Imports no torch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from . import processor_findings, variables
from .finding import LOOK, NOT_KNOWN, OK, Finding, Place
from .gpu_findings import gpus
from .interference import Watch
from .known import known
from .notices import REMEDIES


def examine(
    place: Place, tools: Mapping[str, Callable[[], object]], folders: Mapping[str, Path]
) -> list[Finding]:
    """Every finding.

    tools: by name, what finds a program that builds, or raises the error that says how to get it.
    folders: by name, those that a run writes to.
    """
    examinations: dict[str, Callable[[], list[Finding]]] = {
        "cores": lambda: [processor_findings.cores(place)],
        "CPU quota": lambda: [processor_findings.quota(place)],
        "governor": lambda: [processor_findings.governor(place)],
        "turbo": lambda: [processor_findings.turbo(place)],
        "SMT": lambda: [processor_findings.smt(place)],
        "swap": lambda: [processor_findings.swap(place)],
        "other load": lambda: load(Watch("cpu")),
        "GPU": gpus,
        "environment": lambda: environment(place),
        **{name: partial(_alone, tool, name, find) for name, find in tools.items()},
        **{name: partial(_alone, folder, name, path) for name, path in folders.items()},
    }
    return [
        finding
        for subject, examination in examinations.items()
        for finding in known(examination, [Finding(subject, NOT_KNOWN, "it cannot be read here")])
    ]


def _alone(examination: Callable[..., Finding], *given: object) -> list[Finding]:
    return [examination(*given)]


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


def environment(place: Place) -> list[Finding]:
    """The variables that change threads, memory or libraries of every process."""
    found = variables.in_force(place.environment)
    if not found:
        return [Finding("environment", OK, "no variable changes threads, memory or libraries")]
    remedy = "unset it, or set it alike in every run to be compared"
    return [
        Finding("environment", LOOK, f"{name}={_short(value)}", remedy)
        for name, value in found.items()
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
