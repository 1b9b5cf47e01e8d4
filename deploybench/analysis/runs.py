"""What a run is: the cases that one process measured, under which conditions. Imports no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Value = str | int | float | bool | None

DISTURBED = "*"
"""Stands behind a figure that other work on the machine got in the way of."""


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

    @property
    def disturbed(self) -> bool:
        """Whether other work on the machine got in the way."""
        return bool(self.extra_info.get("disturbed"))

    @property
    def batch_size(self) -> object:
        """Inputs per call; None where the run as a whole tells."""
        return self.extra_info.get("batch_size")


@dataclass(frozen=True)
class Failure:
    """A case that gave no number, and why. batch_size: as a Case has it."""

    model: str
    column: str
    reason: str
    batch_size: object = None


@dataclass(frozen=True)
class Run:
    """What one process measured.

    fingerprint: None for a log, which does not tell. identity: the run's random name, by which it
    is known in whatever file; None where it has none. failed: the cases
    that gave no number. peak: what the device does at best, as floor.py takes it.
    """

    path: Path
    fingerprint: Mapping[str, Value] | None
    cases: tuple[Case, ...]
    identity: str | None = None
    failed: tuple[Failure, ...] = ()
    peak: Mapping[str, float] = field(default_factory=dict)

    @property
    def condition(self) -> str | None:
        """The fingerprint as text: runs may be pooled where it is equal. None for a log.

        As text, since in Python 1 == True, and a name that is missing reads like one that is None.
        """
        return None if self.fingerprint is None else json.dumps(self.fingerprint, sort_keys=True)

    @property
    def packages(self) -> Mapping[str, str | None]:
        """The versions of what its cases ran on, beyond what every run needs."""
        return {
            name: version
            for case in self.cases
            for name, version in case.extra_info.get("packages", {}).items()
        }

    def by_batch_size(self) -> list[Run]:
        """The run as one for each batch size that it has, each with a condition of its own."""
        if self.fingerprint is None or "," not in str(self.fingerprint.get("batch_size")):
            return [self]
        sizes = dict.fromkeys(case.batch_size for case in self.cases)
        sizes |= dict.fromkeys(failure.batch_size for failure in self.failed)
        return [
            replace(
                self,
                fingerprint={**self.fingerprint, "batch_size": size},
                cases=tuple(case for case in self.cases if case.batch_size == size),
                failed=tuple(failure for failure in self.failed if failure.batch_size == size),
            )
            for size in sizes
            if size is None or isinstance(size, int)
        ]

    def figure(self, case: Case) -> float:
        """What a table shows of a case: milliseconds a call, or images per second."""
        conditions = self.fingerprint or {}
        batch_size = conditions.get("batch_size")
        if conditions.get("metric") == "throughput" and isinstance(batch_size, int):
            return 1e3 * batch_size / case.milliseconds
        return case.milliseconds


def told_apart_by_packages(sides: Sequence[Sequence[Run]]) -> list[list[Run]]:
    """The same runs, those packages in their fingerprints of which they ran on several versions.

    Only what a run's cases ran on counts, not what else was installed: a run of PyTorch alone is
    the same before and after OpenVINO came to the machine. It reads None for a package that it had
    no case on.
    """
    versions: dict[str, set[str | None]] = {}
    for run in chain.from_iterable(sides):
        for name, version in run.packages.items():
            versions.setdefault(name, set()).add(version)
    several = [name for name, found in versions.items() if len(found) > 1]
    return [[_with_packages(run, several) for run in side] for side in sides]


def _with_packages(run: Run, names: Sequence[str]) -> Run:
    if run.fingerprint is None:
        return run
    used = run.packages
    versions = {name: used.get(name) for name in names}
    return replace(run, fingerprint={**run.fingerprint, **versions})


def tidy(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per run and case, in the order given.

    Columns: run (its number in `runs`), path, condition (see Run), model, backend, column, order,
    milliseconds (the median of that run's calls), calls (how many they were), figure (what a table
    shows of it: milliseconds, or images per second of a throughput) and disturbed (whether other
    work on the machine got in its way). What a log does not tell is None, and order is then
    infinite.
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
            "figure": run.figure(case),
            "disturbed": case.disturbed,
        }
        for number, run in enumerate(runs)
        for case in run.cases
    ]
    # Every run of pytest imports this module, and few need a table of it.
    import pandas as pd

    return pd.DataFrame(rows)
