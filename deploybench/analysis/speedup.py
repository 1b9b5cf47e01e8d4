"""The speed-up of each backend against eager, from paired figures. Imports no torch.

The backends of a model are timed interleaved in one process. So each round gives a pair, and a slow
spell of the machine cancels out. A run gives the median of its pairs, because single rounds are
often disturbed. With several runs, the process is the unit, and the figure is the mean over the
runs. The interval is Student's, on the logarithms of the ratios. A median of normal values varies
sqrt(pi / 2) times as much as their mean, and its interval is wider by that factor.

A speed-up is doubtful if a run of it was disturbed, if its interval is hopelessly wide, or if the
medians that the table shows say the opposite. It is shown with the advice to measure again, and is
no part of any mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import geometric_mean, median

from ..errors import FileError
from ..records.pooling import comparable
from ..records.record import CaseRecord, RunRecord
from ..settings import BASELINE
from .interval import quantile
from .labels import DISTURBED, labels, mark, place
from .paired_ratios import Units, beside, round_figures

HOLDS_ONE = "~"
AGAIN = "measure again"
NO_BASELINE = f"no {BASELINE}"
"""Instead of a speed-up of a model that no run has through eager too."""

# Not known within a factor of two in either direction.
WIDEST = 4.0
# The logarithm of the largest ratio that is shown; beyond it, an interval says nothing anyway.
LARGEST = math.log(1e9)


@dataclass(frozen=True)
class Speedup:
    """The speed-up against eager, with the bounds of its interval; None if there is no interval.

    units: how many processes it comes from, or rounds of one process. disturbed: whether any of
    them was disturbed. of_medians: the ratio of the medians that the table shows. unproven: the
    mark of reduced precision that is not shown to be within its budget; empty for others.
    """

    ratio: float
    low: float | None
    high: float | None
    units: int
    disturbed: bool = False
    of_medians: float | None = None
    unproven: str = ""

    @property
    def doubtful(self) -> bool:
        """Whether nothing should be concluded from it until it is measured again."""
        return self.disturbed or self._is_wide or self._is_contradicted

    @property
    def _is_wide(self) -> bool:
        return self.low is not None and self.high is not None and self.high > WIDEST * self.low

    @property
    def _is_contradicted(self) -> bool:
        """Whether the medians lie beyond the interval and on the other side of 1."""
        if self.of_medians is None or self.low is None or self.high is None:
            return False
        within = self.low <= self.of_medians <= self.high
        return not within and (self.ratio - 1) * (self.of_medians - 1) < 0

    @property
    def holds_one(self) -> bool:
        """Whether the difference from eager is not significant."""
        return self.low is None or self.high is None or self.low <= 1 <= self.high

    def __str__(self) -> str:
        interval = "" if self.low is None else f" [{self.low:.2f}, {self.high:.2f}]"
        star = DISTURBED if self.disturbed else ""
        even = f" {HOLDS_ONE}" if self.holds_one else ""
        return f"{self.ratio:.2f}{interval}{star}{even}{self.unproven}"


def compare(runs: Sequence[RunRecord], confidence: float = 0.95) -> dict[str, dict[str, Speedup]]:
    """Speed-ups by column title, then by model, in the order of the table, without eager's own.

    Runs made under different conditions get separate columns. Raises FileError if no run has both
    eager and another backend of a model.
    """
    found = estimates(runs, confidence)
    if not any(found.values()):
        raise FileError(
            f"no run has both {BASELINE} and another backend of the same model; save one with "
            f"--backends {BASELINE},..."
        )
    return found


def estimates(runs: Sequence[RunRecord], confidence: float = 0.95) -> dict[str, dict[str, Speedup]]:
    """The same, with no error if there is none, and with columns that have none."""
    (runs,) = comparable(runs)
    found: dict[tuple[float, str], dict[str, list[tuple[CaseRecord, CaseRecord]]]] = {}
    titles = labels(runs)
    for run in runs:
        baselines = {case.model: case for case in run.cases if case.backend == BASELINE}
        for case in run.cases:
            if case.backend in (None, BASELINE):
                continue
            column = place(case), case.column + titles.get(run.condition or "", "")
            models = found.setdefault(column, {})
            if case.model in baselines:
                models.setdefault(case.model, []).append((baselines[case.model], case))
    return {
        title: {model: estimate(pairs, confidence) for model, pairs in sorted(models.items())}
        for (_, title), models in sorted(found.items())
    }


def without_baseline(runs: Sequence[RunRecord]) -> dict[str, set[str]]:
    """The models of each column, by title, that no run has through both it and eager."""
    (runs,) = comparable(runs)
    titles = labels(runs)
    timed: dict[str, set[str]] = {}
    for run in runs:
        for case in run.cases:
            if case.backend not in (None, BASELINE):
                title = case.column + titles.get(run.condition or "", "")
                timed.setdefault(title, set()).add(case.model)
    return {title: timed[title] - models.keys() for title, models in estimates(runs).items()}


def to_rows(
    columns: Mapping[str, Mapping[str, Speedup]], lacking: Mapping[str, set[str]] | None = None
) -> list[list[str]]:
    """The speed-ups as text, models by columns, the header first and the geometric means last.

    lacking: the models of each column that lack eager. A mean is over the models of which every
    column has a speed-up that is not doubtful. One of figures that are not shown to be within their
    budget has their mark.
    """
    without = lacking or {}
    models = sorted(
        {*chain.from_iterable(columns.values()), *chain.from_iterable(without.values())}
    )

    def cell(title: str, model: str) -> str:
        if model in columns[title]:
            found = columns[title][model]
            return f"{found} {AGAIN}" if found.doubtful else str(found)
        return NO_BASELINE if model in without.get(title, ()) else "-"

    rows = [["Model", *columns]]
    rows += [[model, *(cell(title, model) for title in columns)] for model in models]
    whole = [
        model
        for model in models
        if all(model in column and not column[model].doubtful for column in columns.values())
    ]
    means = [_mean([column[model] for model in whole]) for column in columns.values()]
    return [*rows, [f"geometric mean of {len(whole)}", *means]]


def _mean(found: Sequence[Speedup]) -> str:
    marks = sorted({each.unproven for each in found} - {""})
    mean = f"{geometric_mean(each.ratio for each in found):.2f}" if found else "-"
    return "".join([mean, *marks])


def estimate(pairs: Sequence[tuple[CaseRecord, CaseRecord]], confidence: float) -> Speedup:
    """The speed-up from pairs of eager and another backend, one pair for each process."""
    processes = [beside(round_figures(eager), [round_figures(other)]) for eager, other in pairs]
    disturbed = any(case.disturbed for pair in pairs for case in pair)
    eager, other = (median(case.latency_ms for case in side) for side in zip(*pairs, strict=True))
    marks = disturbed, eager / other, mark(each for _, each in pairs)
    units = Units.of(processes)
    middle, count = units.middle, len(units.figures)
    if count < 2:
        return Speedup(math.exp(middle), None, None, count, *marks)
    half = float(quantile(count - 1, confidence)) * units.error
    low, high = math.exp(max(middle - half, -LARGEST)), math.exp(min(middle + half, LARGEST))
    return Speedup(math.exp(middle), low, high, count, *marks)
