"""The fastest backend for each model that gave the right answer. Imports no torch.

A saved run has figures only of backends that passed the check, so the fastest one is correct.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import geometric_mean

from ..errors import FileError
from ..records.record import CaseRecord, RunRecord
from .costs import break_even
from .labels import labels
from .speedup import BASELINE, Speedup, compare


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
        return f"{self.column}, {self.speedup} times as fast{sure}, {self.cost}"


@dataclass(frozen=True)
class Recommendation:
    """The fastest backend for one model, and the fastest in a process without Python."""

    model: str
    fastest: Choice
    without_python: Choice | None

    def line(self) -> str:
        """Both choices in one line."""
        alone = f"; without Python: {self.without_python}" if self.without_python else ""
        same = self.without_python == self.fastest
        return f"{self.model}: {self.fastest}{', which needs no Python' if same else alone}"


def recommend(runs: Sequence[RunRecord]) -> list[Recommendation]:
    """One recommendation for each model.

    Raises FileError for runs made under different conditions, and for a figure without one of eager
    in the same run.
    """
    if len({run.condition for run in runs}) > 1:
        conditions = {label.strip(" []") for label in labels(runs).values()} - {""}
        if any(run.condition is None for run in runs):
            conditions.add("a log, which records none")
        raise FileError(
            f"the runs were made under different conditions: {'; '.join(sorted(conditions))}: "
            "give runs of one machine, settings and batch size"
        )
    speedups = compare(runs)
    cases: dict[str, dict[str, list[tuple[CaseRecord, float | None]]]] = {}
    for run in runs:
        eager = {case.model: case.latency_ms for case in run.cases if case.backend == BASELINE}
        for case in run.cases:
            columns = cases.setdefault(case.model, {})
            columns.setdefault(case.column, []).append((case, eager.get(case.model)))
    return [_of_model(model, cases[model], speedups) for model in sorted(cases)]


def _of_model(
    model: str,
    columns: dict[str, list[tuple[CaseRecord, float | None]]],
    speedups: dict[str, dict[str, Speedup]],
) -> Recommendation:
    choices = []
    for column, found in columns.items():
        speedup = speedups.get(column, {}).get(model)
        without_python = all(case.needs_python is False for case, _ in found)
        if speedup is None and found[0][0].backend != BASELINE:
            raise FileError(
                f"no run has {model} through both {column} and eager; "
                "run it with --backends eager,..."
            )
        choices.append((Choice(column, speedup, _cost(found)), without_python))
    by_ratio = attrgetter("ratio")
    fastest = max((choice for choice, _ in choices), key=by_ratio)
    alone = [choice for choice, without_python in choices if without_python]
    return Recommendation(model, fastest, max(alone, key=by_ratio, default=None))


def _cost(found: Sequence[tuple[CaseRecord, float | None]]) -> str:
    case, _ = found[0]
    first = f"first call {case.first_call_ms or 0.0:.0f} ms"
    if case.export_seconds is None:
        return first
    calls = break_even(found)
    paid = "never paid back" if calls == "never" else f"paid back after {calls} calls"
    return f"export {case.export_seconds:.1f} s, {paid}, {first}"


def summary(recommendations: Sequence[Recommendation]) -> str:
    """How often each backend is fastest, and the mean speed-ups with and without Python.

    The means are geometric means over the models that have such a choice.
    """
    counts = Counter(each.fastest.column for each in recommendations)
    shares = ", ".join(f"{column} {count}" for column, count in counts.most_common())
    mean = _mean([each.fastest for each in recommendations])
    alone = [each.without_python for each in recommendations if each.without_python]
    without = f", {_mean(alone)} without Python ({len(alone)} models)" if alone else ""
    return (
        f"fastest of {len(recommendations)} models: {shares}; in geometric mean {mean} times as "
        f"fast as eager{without}"
    )


def _mean(choices: Sequence[Choice]) -> str:
    return f"{geometric_mean(choice.ratio for choice in choices):.2f}"
