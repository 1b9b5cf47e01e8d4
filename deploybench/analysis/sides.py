"""The two sides of a comparison: what each one's processes gave, cell by cell. Imports no torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from ..errors import FileError
from ..records.record import CaseRecord, RunRecord
from .paired_ratios import beside, turn_figures

Key = tuple[str, str]
"""A cell: model and column."""


@dataclass(frozen=True)
class Side:
    """Baseline or candidate, in logarithms.

    figures: of milliseconds, one for each process that has the cell. turns: of each process the
    figures of each turn, by model and column.
    """

    figures: Mapping[Key, Sequence[float]]
    turns: Sequence[Mapping[str, Mapping[str, Sequence[float]]]]

    @classmethod
    def of(cls, runs: Sequence[RunRecord], titles: Mapping[str, str]) -> Side:
        """The side that these runs are. titles: by condition, what its columns are labelled with.

        Raises FileError for a figure that cannot be a time.
        """
        figures: dict[Key, list[float]] = {}
        processes = []
        for run in runs:
            title = titles.get(run.condition or "", "")
            turns: dict[str, dict[str, list[float]]] = {}
            for case in run.cases:
                _require_time(run, case)
                column = case.column + title
                figures.setdefault((case.model, column), []).append(math.log(case.latency_ms))
                turns.setdefault(case.model, {})[column] = turn_figures(case)
            processes.append(turns)
        return cls(figures, processes)

    def beside(self, key: Key, others: Sequence[str]) -> list[float]:
        """How many times as long the cell took as `others`, one for each process with them all."""
        model, column = key
        processes = (process.get(model, {}) for process in self.turns)
        return [
            median(beside(columns[column], [columns[other] for other in others]))
            for columns in processes
            if columns.keys() >= {column, *others}
        ]

    def companions(self, key: Key) -> Counter[str]:
        """In how many processes each other column of the model was timed in turn with the cell."""
        model, column = key
        processes = (process.get(model, {}) for process in self.turns)
        found = Counter(other for columns in processes if column in columns for other in columns)
        del found[column]
        return found


def _require_time(run: RunRecord, case: CaseRecord) -> None:
    if not (math.isfinite(case.latency_ms) and case.latency_ms > 0):
        raise FileError(
            f"{run.path}: {case.model} in {case.column} has {case.latency_ms} ms, which is no "
            "time; save the run anew"
        )
