"""The speed-up of each backend against eager, from paired figures. Imports no torch.

The backends of a model are timed interleaved in one process. So each round gives a pair, and a slow
spell of the machine cancels out. A run gives the median of its pairs, because single rounds are
often disturbed. With several runs, the process is the unit, and the figure is the mean over the
runs. The interval is Student's, on the logarithms of the ratios. A median of normal values varies
sqrt(pi / 2) times as much as their mean, and its interval is wider by that factor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, geometric_mean, median, stdev

from ..errors import FileError
from ..records.record import CaseRecord, RunRecord
from ..settings import BASELINE
from .labels import DISTURBED, labels, place
from .paired_ratios import beside, round_figures

HOLDS_ONE = "~"


@dataclass(frozen=True)
class Speedup:
    """The speed-up against eager, with the bounds of its interval; None if there is no interval.

    units: how many processes it comes from, or rounds of one process. disturbed: whether any of
    them was disturbed.
    """

    ratio: float
    low: float | None
    high: float | None
    units: int
    disturbed: bool = False

    @property
    def holds_one(self) -> bool:
        """Whether the difference from eager is not significant."""
        return self.low is None or self.high is None or self.low <= 1 <= self.high

    def __str__(self) -> str:
        interval = "" if self.low is None else f" [{self.low:.2f}, {self.high:.2f}]"
        mark = DISTURBED if self.disturbed else ""
        return f"{self.ratio:.2f}{interval}{mark}{' ' + HOLDS_ONE if self.holds_one else ''}"


def compare(runs: Sequence[RunRecord], confidence: float = 0.95) -> dict[str, dict[str, Speedup]]:
    """Speed-ups by column title, then by model, in the order of the table, without eager's own.

    Runs made under different conditions get separate columns. Raises FileError if no run has both
    eager and another backend of a model.
    """
    found: dict[tuple[float, str], dict[str, list[tuple[CaseRecord, CaseRecord]]]] = {}
    titles = labels(runs)
    for run in runs:
        baselines = {case.model: case for case in run.cases if case.backend == BASELINE}
        for case in run.cases:
            if case.model in baselines and case.backend not in (None, BASELINE):
                column = place(case), case.column + titles.get(run.condition or "", "")
                pair = baselines[case.model], case
                found.setdefault(column, {}).setdefault(case.model, []).append(pair)
    if not found:
        raise FileError(
            f"no run has both {BASELINE} and another backend of the same model; save one with "
            f"--backends {BASELINE},..."
        )
    return {
        title: {model: estimate(pairs, confidence) for model, pairs in sorted(models.items())}
        for (_, title), models in sorted(found.items())
    }


def to_rows(columns: Mapping[str, Mapping[str, Speedup]]) -> list[list[str]]:
    """The speed-ups as text, models by columns, the header first and the geometric means last."""
    models = sorted({model for column in columns.values() for model in column})
    rows = [["Model", *columns]]
    rows += [
        [model, *(str(column.get(model, "-")) for column in columns.values())] for model in models
    ]
    whole = [model for model in models if all(model in column for column in columns.values())]
    means = [
        f"{geometric_mean(column[model].ratio for model in whole):.2f}" if whole else "-"
        for column in columns.values()
    ]
    return [*rows, [f"geometric mean of {len(whole)}", *means]]


def estimate(pairs: Sequence[tuple[CaseRecord, CaseRecord]], confidence: float) -> Speedup:
    """The speed-up from pairs of eager and another backend, one pair for each process."""
    processes = [beside(round_figures(eager), [round_figures(other)]) for eager, other in pairs]
    disturbed = any(case.disturbed for pair in pairs for case in pair)
    if len(processes) > 1:
        units, widening = [median(ratios) for ratios in processes], 1.0
        middle = fmean(units)
    else:
        units, widening = list(processes[0]), math.sqrt(math.pi / 2)
        middle = median(units)
    if len(units) < 2:
        return Speedup(math.exp(middle), None, None, len(units), disturbed)
    from scipy.stats import t

    quantile = float(t.ppf((1 + confidence) / 2, len(units) - 1))
    half = widening * quantile * stdev(units) / math.sqrt(len(units))
    low, high = math.exp(middle - half), math.exp(middle + half)
    return Speedup(math.exp(middle), low, high, len(units), disturbed)
