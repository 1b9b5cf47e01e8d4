"""What to ship: for each model, and one backend for all of them. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import FileError
from ..records.record import CaseRecord, RunRecord
from . import geometric_mean, recommendation
from . import speedup as speedups
from .cells import TIMED, Cell, Column, Key
from .labels import mark
from .speedup import BASELINE, Speedup


@dataclass(frozen=True)
class Advice:
    """What to ship for one model. rivals: the columns that are not significantly slower.

    choice: None if none can be recommended, for the reason in `problem`.
    """

    model: str
    choice: recommendation.Recommendation | None
    rivals: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Mean:
    """The geometric mean of a column's speed-ups over `models` models, of `of` that there are."""

    column: Column
    speedup: Speedup
    models: int
    of: int

    @property
    def complete(self) -> bool:
        """Whether every model has a right answer and a speed-up to rely on in this column."""
        return self.models == self.of


@dataclass(frozen=True)
class Answer:
    """What to ship under one condition: for each model, and one column for all of them."""

    label: str
    advice: tuple[Advice, ...]
    means: tuple[Mean, ...]

    @property
    def for_all(self) -> Mean | None:
        """The complete column with the largest mean; None if no column is complete."""
        return max(
            (mean for mean in self.means if mean.complete),
            key=lambda mean: mean.speedup.ratio,
            default=None,
        )


def answer(label: str, runs: Sequence[RunRecord], cells: Mapping[Key, Cell]) -> Answer:
    """What to ship, by the runs of one condition; a cell that failed in any run is left out."""
    good = [
        replace(
            run,
            cases=tuple(
                case for case in run.cases if cells[case.model, case.column + label].state == TIMED
            ),
        )
        for run in runs
    ]
    models = sorted({case.model for run in runs for case in run.cases + run.failed})
    advice = tuple(_advice(model, good) for model in models)
    sure = [
        replace(run, cases=tuple(case for case in run.cases if _is_sure(case, label, cells)))
        for run in good
    ]
    return Answer(label, advice, _means(label, sure, len(models)))


def _is_sure(case: CaseRecord, label: str, cells: Mapping[Key, Cell]) -> bool:
    """Whether the speed-up of the case's cell may enter a mean; eager has none."""
    cell = cells[case.model, case.column + label]
    return not cell.mark and (cell.speedup is None or not cell.speedup.doubtful)


def _advice(model: str, runs: Sequence[RunRecord]) -> Advice:
    of_model = [
        replace(run, cases=tuple(case for case in run.cases if case.model == model)) for run in runs
    ]
    of_model = [run for run in of_model if run.cases]
    if not of_model:
        return Advice(model, None, problem="no backend gave the right answer in every run")
    if all(case.backend == BASELINE for run in of_model for case in run.cases):
        return Advice(model, None, problem="only eager PyTorch has a figure")
    try:
        (choice,) = recommendation.recommend(of_model)
    except FileError as error:
        return Advice(model, None, problem=str(error))
    if choice.fastest is None:
        return Advice(model, None, problem=choice.line().partition(": ")[2])
    return Advice(model, choice, _rivals(choice.fastest.column, of_model))


def _rivals(fastest: str, runs: Sequence[RunRecord]) -> tuple[str, ...]:
    """The columns that the fastest one, compared directly, is not significantly faster than."""
    pairs: dict[str, list[tuple[CaseRecord, CaseRecord]]] = {}
    for run in runs:
        by_column = {case.column: case for case in run.cases if not mark([case])}
        for column, case in by_column.items():
            if fastest in by_column and column != fastest:
                pairs.setdefault(column, []).append((case, by_column[fastest]))
    return tuple(
        column for column, found in pairs.items() if speedups.estimate(found, 0.95).holds_one
    )


def _means(label: str, runs: Sequence[RunRecord], models: int) -> tuple[Mean, ...]:
    pairs: dict[Column, dict[str, list[geometric_mean.Pair]]] = {}
    for run in runs:
        eager = {case.model: case for case in run.cases if case.backend == BASELINE}
        for case in run.cases:
            if case.model in eager and case.backend not in (None, BASELINE):
                column = Column(case.column + label, case.column, label, False)
                found = pairs.setdefault(column, {}).setdefault(case.model, [])
                found.append((eager[case.model], case))
    return tuple(
        Mean(column, geometric_mean.of(list(found.values())), len(found), models)
        for column, found in pairs.items()
    )
