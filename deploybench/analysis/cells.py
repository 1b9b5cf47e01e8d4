"""The cells of a report: each model in each column, with all that its runs say. Imports no torch.

The titles of columns, and which runs are pooled, are those of the table (table.py): runs made under
different conditions get columns of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from ..records.record import FAILED, WRONG, CaseRecord, Check, FailedCase, RunRecord
from ..records.reduced import Reduced
from . import costs, distribution, roofline_bound
from . import speedup as speedups
from .labels import escaped, labels, mark, place, worst
from .speedup import BASELINE, Speedup

TIMED, ABSENT = "timed", "absent"
# Together with WRONG and FAILED, which a record uses for how a case failed.
STATES = (TIMED, WRONG, FAILED, ABSENT)
Key = tuple[str, str]
"""A cell: model and column title."""


@dataclass(frozen=True)
class Column:
    """A backend under one condition. label: what differs from other conditions; often empty."""

    title: str
    name: str
    label: str
    is_baseline: bool


@dataclass(frozen=True)
class Cell:
    """One model in one column.

    cases: one for each run that timed it. failures: those of the runs in which it has no figure.
    speedup: against eager; None without a pair. floor: the roofline bound; None without rates.
    """

    model: str
    column: Column
    cases: tuple[CaseRecord, ...] = ()
    failures: tuple[FailedCase, ...] = ()
    speedup: Speedup | None = None
    floor: roofline_bound.Floor | None = None
    break_even: str = "-"

    @property
    def state(self) -> str:
        """One of STATES: WRONG or FAILED if it was so in any run."""
        kinds = {failure.kind for failure in self.failures}
        if kinds:
            return WRONG if WRONG in kinds else FAILED
        return TIMED if self.cases else ABSENT

    @cached_property
    def latency_ms(self) -> float | None:
        """The median over the runs of their medians."""
        return self.median_of("latency_ms")

    @property
    def times_floor(self) -> float | None:
        """The latency as a multiple of the roofline bound."""
        if self.floor is None or self.latency_ms is None:
            return None
        return self.latency_ms / self.floor.milliseconds

    @property
    def disturbed(self) -> tuple[str, ...]:
        """What disturbed it, in any run."""
        return tuple(dict.fromkeys(each for case in self.cases for each in case.disturbed))

    @property
    def reduced(self) -> Reduced | None:
        """The worst verdict on reduced precision of all runs; None if it is of another kind."""
        return worst(self.cases)

    @property
    def mark(self) -> str:
        """The mark of reduced precision; empty if it is shown to be within its budget."""
        return mark(self.cases)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it has no figure, or a disturbed one."""
        why = [failure.reason for failure in self.failures] or list(self.disturbed)
        return tuple(dict.fromkeys(why))

    def median_of(self, name: str) -> float | None:
        """The median over the runs of that attribute of the case; None if no run has it."""
        known = [value for case in self.cases if (value := getattr(case, name)) is not None]
        return median(known) if known else None

    @property
    def ready_ms(self) -> float | None:
        """What it takes before the first call: the export, or the first call without one."""
        spent = [costs.milliseconds_to_make_ready(case) for case in self.cases]
        known = [each for each in spent if each is not None]
        return median(known) if known else None

    @property
    def check(self) -> Check | None:
        """The check with the largest error of all runs."""
        checks = [case.check for case in self.cases if case.check is not None]
        return max(checks, key=lambda check: check.error, default=None)

    def distribution(self, most_points: int) -> distribution.Distribution | None:
        """Of its samples; None without any."""
        return distribution.of(self.cases, most_points) if self.cases else None


def run_labels(runs: Sequence[RunRecord]) -> dict[int, str]:
    """What to add to the titles of each run's columns, by the run's id.

    A log, which records no conditions, is labelled with its file if its cells are in another run.
    """
    conditions = labels(runs)
    keys = [{(case.model, case.column) for case in run.cases} for run in runs]
    found = {}
    for number, run in enumerate(runs):
        others = set().union(*keys[:number], *keys[number + 1 :])
        if run.condition is not None:
            found[id(run)] = conditions.get(run.condition, "")
        else:
            found[id(run)] = f" [{escaped(run.path.name)[1:-1]}]" if keys[number] & others else ""
    return found


def all_columns(runs: Sequence[RunRecord], titles: Mapping[int, str]) -> list[Column]:
    """All columns, in the order of the table; those that only failed come after the others."""
    places: dict[Column, float] = {}
    for run in runs:
        label = titles[id(run)]
        for case in run.cases:
            title = case.column + label
            column = Column(title, case.column, label, case.backend == BASELINE)
            places.setdefault(column, place(case))
    known = {column.title for column in places}
    for run in runs:
        label = titles[id(run)]
        for failed in run.failed:
            if failed.column + label not in known:
                column = Column(
                    failed.column + label, failed.column, label, failed.backend == BASELINE
                )
                places.setdefault(column, math.inf)
    return sorted(places, key=lambda column: (places[column], column.title))


def all_cells(
    runs: Sequence[RunRecord], titles: Mapping[int, str], columns: Sequence[Column]
) -> dict[Key, Cell]:
    """The cells that any run timed, or in which it failed."""
    timed: dict[Key, list[tuple[CaseRecord, float | None]]] = {}
    failed: dict[Key, list[FailedCase]] = {}
    floors: dict[Key, roofline_bound.Floor] = {}
    for run in runs:
        eager = {case.model: case.latency_ms for case in run.cases if case.backend == BASELINE}
        for case in run.cases:
            key = case.model, case.column + titles[id(run)]
            timed.setdefault(key, []).append((case, eager.get(case.model)))
            floor = roofline_bound.of(case, run)
            if floor is not None:
                floors.setdefault(key, floor)
        for failure in run.failed:
            failed.setdefault((failure.model, failure.column + titles[id(run)]), []).append(failure)
    compared = speedups.estimates([run for run in runs if run.condition is not None])
    by_title = {column.title: column for column in columns}
    return {
        (model, title): Cell(
            model,
            by_title[title],
            tuple(case for case, _ in timed.get((model, title), [])),
            tuple(failed.get((model, title), [])),
            compared.get(title, {}).get(model),
            floors.get((model, title)),
            costs.break_even(timed.get((model, title), []), compared.get(title, {}).get(model)),
        )
        for model, title in {**timed, **failed}
    }
