"""The figures of one side of a comparison, baseline or candidate, by cell. Imports no torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from ..errors import FileError
from ..records.kinds import is_time
from ..records.record import CaseRecord, RunRecord
from .paired_ratios import beside, round_figures

Key = tuple[str, str]
"""A cell: model and column."""


@dataclass(frozen=True)
class Side:
    """Baseline or candidate; all figures are logarithms of milliseconds.

    figures: one for each process that has the cell. rounds: for each process, the figure of each
    round by model and column.
    """

    figures: Mapping[Key, Sequence[float]]
    rounds: Sequence[Mapping[str, Mapping[str, Sequence[float]]]]

    @classmethod
    def of(cls, runs: Sequence[RunRecord], titles: Mapping[str, str]) -> Side:
        """The side made of these runs. titles: the label of the columns of each condition.

        Raises FileError for a figure that is not a time.
        """
        figures: dict[Key, list[float]] = {}
        processes = []
        for run in runs:
            title = titles.get(run.condition or "", "")
            rounds: dict[str, dict[str, list[float]]] = {}
            for case in run.cases:
                _require_time(run, case)
                column = case.column + title
                figures.setdefault((case.model, column), []).append(math.log(case.latency_ms))
                rounds.setdefault(case.model, {})[column] = round_figures(case)
            processes.append(rounds)
        return cls(figures, processes)

    def beside(self, key: Key, others: Sequence[str]) -> list[float]:
        """The logarithm of the cell's time relative to `others`, for each process that has all."""
        model, column = key
        processes = (process.get(model, {}) for process in self.rounds)
        return [
            median(beside(columns[column], [columns[other] for other in others]))
            for columns in processes
            if columns.keys() >= {column, *others}
        ]

    def companions(self, key: Key) -> Counter[str]:
        """How many processes timed each other column of the model interleaved with the cell."""
        model, column = key
        processes = (process.get(model, {}) for process in self.rounds)
        found = Counter(other for columns in processes if column in columns for other in columns)
        del found[column]
        return found


def by_cell(runs: Sequence[RunRecord], titles: Mapping[str, str]) -> dict[Key, list[CaseRecord]]:
    """The cases of each cell. titles: the label of the columns of each condition."""
    found: dict[Key, list[CaseRecord]] = {}
    for run in runs:
        for case in run.cases:
            key = case.model, case.column + titles.get(run.condition or "", "")
            found.setdefault(key, []).append(case)
    return found


def _require_time(run: RunRecord, case: CaseRecord) -> None:
    if not is_time(median(case.samples_seconds)):
        raise FileError(
            f"{run.path}: {case.model} in {case.column} has {case.latency_ms} ms, which is not a "
            "time that a clock can give; save the run again"
        )
