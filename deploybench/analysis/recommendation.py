"""The fastest backend for each model that gave the right answer. Imports no torch.

A saved run has figures only of backends that passed the check, so the fastest one is correct. A
backend of reduced precision is recommended only if it was shown to be within its budget.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import geometric_mean, median

from ..errors import FileError
from ..records.pooling import comparable
from ..records.record import CaseRecord, RunRecord
from .costs import break_even
from .labels import labels, mark
from .speedup import AGAIN, BASELINE, Speedup, compare


@dataclass(frozen=True)
class Choice:
    """One backend for a model. speedup: against eager; None for eager itself.

    cost: what it takes to get to the first answer, in words.
    """

    column: str
    speedup: Speedup | None
    cost: str

    @property
    def ratio(self) -> float:
        """The speed-up against eager."""
        return self.speedup.ratio if self.speedup else 1.0

    def __str__(self) -> str:
        if self.speedup is None:
            return self.column
        sure = " (may be no faster)" if self.speedup.holds_one else ""
        cost = f", {self.cost}" if self.cost else ""
        return f"{self.column}, {self.speedup} times as fast{sure}{cost}"


@dataclass(frozen=True)
class Recommendation:
    """The fastest backend for one model, and the fastest in a process without Python.

    fastest: None if there is no backend to be sure of. again: those whose speed-up is doubtful.
    lacking: the columns that no run has together with eager. unproven: those of reduced precision
    that are not shown to be within their budget, which are never recommended.
    """

    model: str
    fastest: Choice | None
    without_python: Choice | None
    again: tuple[Choice, ...] = ()
    lacking: tuple[str, ...] = ()
    unproven: tuple[Choice, ...] = ()

    def line(self) -> str:
        """All of it in one line."""
        parts = []
        if self.fastest is not None:
            same = self.without_python == self.fastest
            parts.append(f"{self.fastest}{', which needs no Python' if same else ''}")
            if self.without_python and not same:
                parts.append(f"without Python: {self.without_python}")
        if self.again:
            doubtful = ", ".join(f"{each.column} {each.speedup}" for each in self.again)
            parts.append(f"{AGAIN}: {doubtful}")
        if self.unproven:
            named = ", ".join(
                f"{each.column} {each.speedup or ''}".strip() for each in self.unproven
            )
            parts.append(f"not to be recommended: {named}")
        if self.lacking:
            parts.append(
                f"no run has {self.model} through both {' or '.join(self.lacking)} and {BASELINE}; "
                f"run it with --backends {BASELINE},..."
            )
        return f"{self.model}: {'; '.join(parts)}"


def recommend(runs: Sequence[RunRecord]) -> list[Recommendation]:
    """One recommendation for each model.

    Raises FileError for runs made under different conditions, and if no run has both eager and
    another backend of a model.
    """
    (runs,) = comparable(runs)
    if len({run.condition for run in runs}) > 1:
        conditions = {label.strip(" []") for label in labels(runs).values()} - {""}
        if any(run.condition is None for run in runs):
            conditions.add("a log, which records none")
        raise FileError(
            f"the runs were made under different conditions: {'; '.join(sorted(conditions))}: "
            "give runs of one machine, settings and batch size"
        )
    # By title, whose label is the same for all: what it shows of throughput, or nothing.
    speedups = compare(runs)
    titles = labels(runs)
    cases: dict[str, dict[str, list[tuple[CaseRecord, float | None]]]] = {}
    for run in runs:
        eager = {case.model: case.latency_ms for case in run.cases if case.backend == BASELINE}
        for case in run.cases:
            columns = cases.setdefault(case.model, {})
            title = case.column + titles.get(run.condition or "", "")
            columns.setdefault(title, []).append((case, eager.get(case.model)))
    return [_of_model(model, cases[model], speedups) for model in sorted(cases)]


def _of_model(
    model: str,
    columns: dict[str, list[tuple[CaseRecord, float | None]]],
    speedups: dict[str, dict[str, Speedup]],
) -> Recommendation:
    sure, alone, again, lacking, unproven = [], [], [], [], []
    for column, found in columns.items():
        speedup = speedups.get(column, {}).get(model)
        if speedup is None and found[0][0].backend != BASELINE:
            lacking.append(column)
            continue
        choice = Choice(column, speedup, _cost(found, speedup))
        if mark(case for case, _ in found):
            unproven.append(choice)
            continue
        if speedup is not None and speedup.doubtful:
            again.append(choice)
            continue
        sure.append(choice)
        if all(case.needs_python is False for case, _ in found):
            alone.append(choice)
    by_ratio = attrgetter("ratio")
    # Eager alone is no choice while any other backend is in doubt or was not compared.
    open_ones = again or lacking or unproven
    fastest = max(sure, key=by_ratio) if len(sure) > 1 or not open_ones else None
    best_alone = max(alone, key=by_ratio, default=None)
    return Recommendation(model, fastest, best_alone, tuple(again), tuple(lacking), tuple(unproven))


def _cost(found: Sequence[tuple[CaseRecord, float | None]], speedup: Speedup | None) -> str:
    first_call, export = (_median_of(found, name) for name in ("first_call_ms", "export_seconds"))
    first = [] if first_call is None else [f"first call {first_call:.0f} ms"]
    if export is None:
        return ", ".join(first)
    calls = break_even(found, speedup)
    paid = f"{calls} paid back" if calls == "never" else f"paid back after {calls} calls"
    return ", ".join([f"export {export:.1f} s", paid, *first])


def _median_of(found: Sequence[tuple[CaseRecord, float | None]], name: str) -> float | None:
    """The median of a figure over the runs, as in the table of costs; None if no run has it."""
    values = [value for case, _ in found if (value := getattr(case, name)) is not None]
    return median(values) if values else None


def summary(recommendations: Sequence[Recommendation]) -> str:
    """How often each backend is fastest, and the mean speed-ups with and without Python.

    The means are geometric means over the models that have such a choice.
    """
    fastest = [each.fastest for each in recommendations if each.fastest]
    open_ones = len(recommendations) - len(fastest)
    rest = f"; {open_ones} without a recommendation" if open_ones else ""
    if not fastest:
        return f"fastest of 0 models{rest}"
    counts = Counter(choice.column for choice in fastest)
    shares = ", ".join(f"{column} {count}" for column, count in counts.most_common())
    alone = [each.without_python for each in recommendations if each.without_python]
    without = f", {_mean(alone)} without Python ({len(alone)} models)" if alone else ""
    return (
        f"fastest of {len(fastest)} models: {shares}; in geometric mean {_mean(fastest)} times as "
        f"fast as eager{without}{rest}"
    )


def _mean(choices: Sequence[Choice]) -> str:
    return f"{geometric_mean(choice.ratio for choice in choices):.2f}"
