"""Whether a candidate is slower than its baseline, cell by cell. Imports no torch.

The unit that repeats is the process: each run gives one figure a cell, the median of its calls. Two
sets of runs are compared by Welch's interval (B. L. Welch, 1947, "The generalization of 'Student's'
problem when several different population variances are involved") on the logarithms of those
figures, at a confidence that is corrected for the number of cells (Bonferroni's: with k cells,
1 - (1 - confidence) / k each), so that the whole report is wrong as seldom as it says.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, variance

from .errors import FileError, UsageError
from .results import Run, Value
from .table import labels
from .tolerance import Tolerances

FASTER, SLOWER, SAME = "faster", "slower", "same"
INCONCLUSIVE, MISSING, NEW = "inconclusive", "missing", "new"
WRONG, NOT_COMPARABLE = "wrong", "not comparable"
VERDICTS = (SLOWER, WRONG, MISSING, NOT_COMPARABLE, INCONCLUSIVE, FASTER, NEW, SAME)

# Two processes may agree to the last digit by luck; no cell is known better than this.
LEAST_DEVIATION = 0.001
MOST_RUNS = 200


@dataclass(frozen=True)
class Effect:
    """How the candidate's figure stands to the baseline's, in logarithms of their ratio.

    estimate: positive where the candidate is slower. low, high: the interval; infinite where the
    spread between processes is not known. deviation: of one process. runs: on each side.
    """

    estimate: float
    low: float
    high: float
    deviation: float
    runs: tuple[int, int]

    def __str__(self) -> str:
        shown = f"{math.expm1(self.estimate):+.1%}"
        if math.isinf(self.low):
            return shown
        return f"{shown} [{math.expm1(self.low):+.1%}, {math.expm1(self.high):+.1%}]"


@dataclass(frozen=True)
class Cell:
    """One model in one column. baseline, candidate: milliseconds, None where there is none.

    note: what else there is to know, in words.
    """

    model: str
    column: str
    verdict: str
    baseline: float | None = None
    candidate: float | None = None
    effect: Effect | None = None
    tolerance: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Report:
    """Every cell, by model and column, and what differs between the two sides' conditions."""

    cells: tuple[Cell, ...]
    differences: tuple[str, ...] = ()

    @property
    def counts(self) -> Counter[str]:
        """How many cells got each verdict."""
        return Counter(cell.verdict for cell in self.cells)

    @property
    def exit_code(self) -> int:
        """3 not comparable, else 4 missing or wrong cells or none at all, else 1 slower, else 0."""
        counts = self.counts
        if counts[NOT_COMPARABLE]:
            return 3
        if counts[MISSING] or counts[WRONG] or not set(counts) - {NEW}:
            return 4
        return 1 if counts[SLOWER] else 0


@dataclass(frozen=True)
class Options:
    """confidence: that no cell of the report is called slower or faster where it is the same."""

    confidence: float = 0.95
    tolerances: Tolerances = field(default_factory=Tolerances)


Side = Mapping[tuple[str, str], Sequence[float]]


def judge_runs(baseline: Sequence[Run], candidate: Sequence[Run], options: Options) -> Report:
    """Judge `candidate` against `baseline`.

    Raises FileError for a log, which is no run of this suite, and for a figure that cannot be a
    time; UsageError where the same run stands on both sides.
    """
    _require_apart(baseline, candidate)
    differences = _differences(baseline, candidate)
    runs = [*baseline, *candidate]
    # The same conditions on both sides, but several: each has cells of its own.
    titles = {} if differences else labels(runs)
    before, after = _figures(baseline, titles), _figures(candidate, titles)
    cases = [
        ((case.model, case.column + titles.get(run.condition or "", "")), case)
        for run in runs
        for case in run.cases
    ]
    backends = {key: case.backend or "" for key, case in cases}
    disturbed = {key for key, case in cases if case.extra_info.get("disturbed")}
    failed = {
        (each.model, each.column + titles.get(run.condition or "", "")): each.reason
        for run in candidate
        for each in run.failed
    }
    judged = [cell for cell in before if cell in after and _is_repeated(before[cell], after[cell])]
    confidence = 1 - (1 - options.confidence) / max(1, len(judged))
    cells = []
    for key in sorted({*before, *after, *failed}):
        tolerance = options.tolerances.of(key[0], backends.get(key, ""))
        cell = _judge(key, before.get(key), after.get(key), failed.get(key), tolerance, confidence)
        if differences:
            cell = _refused(cell)
        elif key in disturbed:
            cell = _noted(cell, "disturbed")
        cells.append(cell)
    return Report(tuple(cells), differences)


def _judge(
    key: tuple[str, str],
    before: Sequence[float] | None,
    after: Sequence[float] | None,
    failed: str | None,
    tolerance: float,
    confidence: float,
) -> Cell:
    model, column = key
    baseline = math.exp(fmean(map(math.log, before))) if before else None
    candidate = math.exp(fmean(map(math.log, after))) if after else None
    if failed is not None:
        return Cell(model, column, WRONG, baseline, candidate, note=failed)
    if before is None:
        return Cell(model, column, NEW, None, candidate)
    if after is None:
        return Cell(model, column, MISSING, baseline)
    effect = compare(before, after, confidence)
    verdict = _verdict(effect, tolerance)
    note = _more_runs(effect, tolerance, confidence) if verdict == INCONCLUSIVE else ""
    return Cell(model, column, verdict, baseline, candidate, effect, tolerance, note)


def compare(before: Sequence[float], after: Sequence[float], confidence: float) -> Effect:
    """The effect of two sets of figures, one a process, in the same unit."""
    logs = [math.log(figure) for figure in before], [math.log(figure) for figure in after]
    estimate = fmean(logs[1]) - fmean(logs[0])
    runs = len(before), len(after)
    if min(runs) < 2:
        return Effect(estimate, -math.inf, math.inf, math.nan, runs)
    variances = [max(variance(each), LEAST_DEVIATION**2) for each in logs]
    half = _half_width(variances, runs, confidence)
    deviation = math.sqrt(fmean(variances))
    return Effect(estimate, estimate - half, estimate + half, deviation, runs)


def _half_width(variances: Sequence[float], runs: Sequence[int], confidence: float) -> float:
    from scipy.stats import t

    errors = [spread / count for spread, count in zip(variances, runs, strict=True)]
    squares = [error**2 / (count - 1) for error, count in zip(errors, runs, strict=True)]
    freedom = sum(errors) ** 2 / sum(squares)
    return float(t.ppf((1 + confidence) / 2, freedom)) * math.sqrt(sum(errors))


def _verdict(effect: Effect, tolerance: float) -> str:
    limit = math.log1p(tolerance)
    if effect.low > 0 and effect.estimate > limit:
        return SLOWER
    if effect.high < 0 and effect.estimate < -limit:
        return FASTER
    return SAME if -limit <= effect.low and effect.high <= limit else INCONCLUSIVE


def _more_runs(effect: Effect, tolerance: float, confidence: float) -> str:
    """How many more runs a side would settle it, if the effect and the spread stay as they are."""
    if math.isnan(effect.deviation):
        more = 2 - min(effect.runs)
        return f"the spread between processes is not known; at least {more} more runs a side"
    limit = math.log1p(tolerance)
    # Either the interval clears zero, or it fits within the tolerance.
    beyond = abs(effect.estimate) > limit
    enough = abs(effect.estimate) if beyond else limit - abs(effect.estimate)
    import numpy as np
    from scipy.stats import t

    # All at once, since a quantile at a time takes longer than all the rest.
    runs = np.arange(min(effect.runs) + 1, MOST_RUNS + 1)
    widths = t.ppf((1 + confidence) / 2, 2 * (runs - 1)) * effect.deviation * np.sqrt(2 / runs)
    sufficient = runs[widths < enough]
    if not len(sufficient):
        return f"more than {MOST_RUNS} runs a side would be needed"
    return f"about {sufficient[0] - min(effect.runs)} more runs a side would settle it"


def _figures(runs: Sequence[Run], titles: Mapping[str, str]) -> dict[tuple[str, str], list[float]]:
    """By model and column, milliseconds of each run that holds the cell.

    titles: by condition, what its columns are labelled with.
    """
    found: dict[tuple[str, str], list[float]] = {}
    for run in runs:
        for case in run.cases:
            figure = case.milliseconds
            if not (math.isfinite(figure) and figure > 0):
                raise FileError(
                    f"{run.path}: {case.model} in {case.column} has {figure} ms, which is no time; "
                    "save the run anew"
                )
            column = case.column + titles.get(run.condition or "", "")
            found.setdefault((case.model, column), []).append(figure)
    return found


def _is_repeated(before: Sequence[float], after: Sequence[float]) -> bool:
    return min(len(before), len(after)) >= 2


def _require_apart(baseline: Sequence[Run], candidate: Sequence[Run]) -> None:
    for run in (*baseline, *candidate):
        if run.fingerprint is None:
            raise FileError(f"{run.path} is a log, which tells no conditions; give saved runs")
    known = {(run.identity or run.path.resolve()): run.path for run in baseline}
    contents = {run.path.read_bytes() for run in baseline if run.path.is_file()}
    for run in candidate:
        same_content = run.path.is_file() and run.path.read_bytes() in contents
        if (run.identity or run.path.resolve()) in known or same_content:
            raise UsageError(
                f"{run.path} is in the baseline and in the candidate; give two sets of runs"
            )


def _differences(baseline: Sequence[Run], candidate: Sequence[Run]) -> tuple[str, ...]:
    """What differs between the conditions of all the runs, by name with the values of each side."""
    if {run.condition for run in baseline} == {run.condition for run in candidate}:
        return ()
    sides = [[run.fingerprint or {} for run in side] for side in (baseline, candidate)]
    names = sorted({name for side in sides for fingerprint in side for name in fingerprint})
    found = []
    for name in names:
        values = [list(dict.fromkeys(_shown(each, name) for each in side)) for side in sides]
        if values[0] != values[1] or len(values[0]) > 1:
            found.append(f"{name}: {' and '.join(values[0])} -> {' and '.join(values[1])}")
    return tuple(found)


def _shown(fingerprint: Mapping[str, Value], name: str) -> str:
    return repr(fingerprint[name]) if name in fingerprint else "absent"


def _refused(cell: Cell) -> Cell:
    return Cell(cell.model, cell.column, NOT_COMPARABLE, cell.baseline, cell.candidate)


def _noted(cell: Cell, note: str) -> Cell:
    return replace(cell, note="; ".join(filter(None, (cell.note, note))))
