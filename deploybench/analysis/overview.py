"""All that a report of saved runs shows, as figures without any format. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ..errors import FileError
from ..records.pooling import comparable
from ..records.record import RunRecord
from . import regression
from .answers import Answer, answer
from .cells import STATES, Cell, Column, Key, all_cells, all_columns, run_labels


@dataclass(frozen=True)
class Overview:
    """Everything a report shows. gate: the verdicts against a baseline; None without one.

    cells: by model and column title; every pair has one.
    """

    runs: tuple[RunRecord, ...]
    models: tuple[str, ...]
    columns: tuple[Column, ...]
    cells: Mapping[Key, Cell]
    answers: tuple[Answer, ...]
    gate: regression.Report | None = None
    baseline: tuple[RunRecord, ...] = field(default=())

    def row(self, model: str) -> list[Cell]:
        """The cells of a model, in the order of the columns."""
        return [self.cells[model, column.title] for column in self.columns]

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many cells are in each of STATES."""
        states = [cell.state for cell in self.cells.values()]
        return {state: states.count(state) for state in STATES}


def of(
    runs: Sequence[RunRecord],
    baseline: Sequence[RunRecord] = (),
    options: regression.Options | None = None,
) -> Overview:
    """The overview of `runs`, judged against `baseline` if there is one.

    Raises FileError for a run with a sample that is not a time, and FileError and UsageError as
    regression.judge_runs does.
    """
    _require_times((*runs, *baseline))
    runs, baseline = comparable(runs, baseline)
    gate = None
    if baseline:
        gate = regression.judge_runs(baseline, runs, options or regression.Options())
    titles = run_labels(runs)
    columns = all_columns(runs, titles)
    cells = all_cells(runs, titles, columns)
    models = sorted({model for model, _ in cells})
    for model in models:
        for column in columns:
            cells.setdefault((model, column.title), Cell(model, column))
    answers = tuple(
        answer(label, [run for run in runs if titles[id(run)] == label], cells)
        for label in dict.fromkeys(titles.values())
    )
    return Overview(
        tuple(runs), tuple(models), tuple(columns), cells, answers, gate, tuple(baseline)
    )


def _require_times(runs: Sequence[RunRecord]) -> None:
    for run in runs:
        for case in run.cases:
            least, most = min(case.samples_seconds), max(case.samples_seconds)
            if not 0 < least <= most < math.inf:
                raise FileError(
                    f"{run.path}: {case.model} in {case.column} has a sample of "
                    f"{least if least <= 0 else most} seconds, which is not a time; save the run "
                    "again"
                )
