"""Judges whether a candidate is slower than its baseline, cell by cell. Imports no torch.

The process is the unit of repetition: each run gives one figure per cell, the median of its calls,
and interval.py compares two sets of them. If that is inconclusive because processes differ too
much, the cell is compared with the other backends of its model, which the same processes timed
interleaved with it. It is slower if it is slower relative to the median of the others, and also
relative to more than half of all the model's backends one by one. The second condition shows which
of them changed. The confidence is corrected for the number of comparisons (Bonferroni: each of k
has 1 - (1 - confidence) / k), so that it holds for the report as a whole.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from ..errors import FileError, UsageError
from ..records.pooling import comparable
from ..records.record import FAILED, WRONG, CaseRecord, FailedCase, RunRecord, Value
from ..records.reduced import OVER
from .interval import MOST_RUNS, Effect, compare, runs_to_settle
from .labels import labels, worst
from .sides import Key, Side, by_cell
from .tolerance import Tolerances

FASTER, SLOWER, SAME = "faster", "slower", "same"
INCONCLUSIVE, MISSING, NEW = "inconclusive", "missing", "new"
NOT_COMPARABLE = "not comparable"
# Together with WRONG and FAILED, which a record uses for how a case failed.
VERDICTS = (SLOWER, WRONG, FAILED, MISSING, NOT_COMPARABLE, INCONCLUSIVE, FASTER, NEW, SAME)


@dataclass(frozen=True)
class Cell:
    """One model in one column. baseline, candidate: milliseconds; None without a figure.

    effect: the basis of the verdict. beside: the columns that the effect is relative to; empty if
    the cell was judged by its own figures. note: anything else worth knowing, in words. unproven:
    whether the candidate is of reduced precision that is not shown to be within its budget.
    """

    model: str
    column: str
    verdict: str
    baseline: float | None = None
    candidate: float | None = None
    effect: Effect | None = None
    tolerance: float | None = None
    beside: tuple[str, ...] = ()
    note: str = ""
    unproven: bool = False


@dataclass(frozen=True)
class Report:
    """Every cell, by model and column, and how the conditions of the two sides differ."""

    cells: tuple[Cell, ...]
    differences: tuple[str, ...] = ()

    @property
    def counts(self) -> Counter[str]:
        """How many cells got each verdict."""
        return Counter(cell.verdict for cell in self.cells)

    @property
    def exit_code(self) -> int:
        """What a CI job ends with.

        3: not comparable; 4: missing, wrong, failed or no cells; 1: slower; 5: every cell that is
        on both sides is inconclusive; 0: otherwise.
        """
        counts = self.counts
        if counts[NOT_COMPARABLE]:
            return 3
        if counts[MISSING] or counts[WRONG] or counts[FAILED] or not set(counts) - {NEW}:
            return 4
        if counts[SLOWER]:
            return 1
        return 0 if set(counts) - {NEW, INCONCLUSIVE} else 5


@dataclass(frozen=True)
class Options:
    """confidence: the probability that the report calls no unchanged cell slower or faster."""

    confidence: float = 0.95
    tolerances: Tolerances = field(default_factory=Tolerances)


def judge_runs(
    baseline: Sequence[RunRecord], candidate: Sequence[RunRecord], options: Options
) -> Report:
    """Judge `candidate` against `baseline`.

    Raises FileError for a log, which is not a saved run, and for a figure that is not a time.
    Raises UsageError if the same run is on both sides.
    """
    _require_distinct(baseline, candidate)
    baseline, candidate = comparable(baseline, candidate)
    differences = _differences(baseline, candidate)
    runs = [*baseline, *candidate]
    # If both sides have the same conditions, but several, each condition gets its own cells.
    titles = {} if differences else labels(runs)
    before, after = Side.of(baseline, titles), Side.of(candidate, titles)
    cases = [
        ((case.model, case.column + titles.get(run.condition or "", "")), case)
        for run in runs
        for case in run.cases
    ]
    backends = {key: case.backend or "" for key, case in cases}
    disturbed = {key for key, case in cases if case.disturbed}
    before_budget, after_budget = (by_cell(side, titles) for side in (baseline, candidate))
    failed = _failures(candidate, titles)
    keys = sorted({*before.figures, *after.figures, *failed})
    tolerances = {key: options.tolerances.of(key[0], backends.get(key, "")) for key in keys}
    confidence = 1 - (1 - options.confidence) / max(1, _comparisons(before, after))
    cells = {
        key: _judge(key, before, after, failed.get(key), tolerances[key], confidence)
        for key in keys
    }
    judged = []
    for key, cell in cells.items():
        if differences:
            cell = _refused(cell)
        elif cell.verdict == INCONCLUSIVE:
            cell = _judge_beside(cell, cells, before, after, options.confidence, confidence)
        if key in disturbed and not differences:
            cell = _noted(cell, "disturbed")
        cell = _of_budget(cell, before_budget.get(key, ()), after_budget.get(key, ()))
        judged.append(cell)
    return Report(tuple(judged), differences)


def _failures(candidate: Sequence[RunRecord], titles: Mapping[str, str]) -> dict[Key, FailedCase]:
    """The last failure of each cell; a wrong answer takes precedence over any other failure."""
    found: dict[Key, FailedCase] = {}
    for run in candidate:
        for case in run.failed:
            key = case.model, case.column + titles.get(run.condition or "", "")
            if key not in found or found[key].kind != WRONG or case.kind == WRONG:
                found[key] = case
    return found


def _of_budget(cell: Cell, before: Sequence[CaseRecord], after: Sequence[CaseRecord]) -> Cell:
    """The cell, marked if it is of reduced precision and not shown to be within its budget.

    A candidate that is over its budget is wrong, unless the baseline was not within it either.
    """
    old, new = worst(before), worst(after)
    if new is None or new.within:
        return cell
    noted = replace(_noted(cell, f"{new.mark.strip()} {new.reason}"), unproven=True)
    became = new.status == OVER and old is not None and old.within
    return replace(noted, verdict=WRONG) if became and cell.verdict != NOT_COMPARABLE else noted


def _comparisons(before: Side, after: Side) -> int:
    """How many comparisons to correct for: each cell by itself, and relative to others."""
    figures = before.figures, after.figures
    by_itself = [key for key in figures[0] if min(len(each.get(key, ())) for each in figures) > 1]
    return len(by_itself) + sum(len(_others(before, after, key)) > 1 for key in by_itself)


def _others(before: Side, after: Side, key: Key) -> list[str]:
    """The columns to compare a cell with: those that several processes of each side also have."""
    counts = [side.companions(key) for side in (before, after)]
    return [other for other in counts[0] if min(each[other] for each in counts) > 1]


def _judge(
    key: Key,
    before: Side,
    after: Side,
    failed: FailedCase | None,
    tolerance: float,
    confidence: float,
) -> Cell:
    """The cell, judged by its own figures."""
    figures = before.figures.get(key), after.figures.get(key)
    baseline, candidate = (math.exp(fmean(each)) if each else None for each in figures)
    if failed is not None:
        return Cell(*key, failed.kind, baseline, candidate, note=failed.reason)
    if figures[0] is None:
        return Cell(*key, NEW, None, candidate)
    if figures[1] is None:
        return Cell(*key, MISSING, baseline)
    effect = compare(figures[0], figures[1], confidence)
    verdict = _verdict(effect, tolerance)
    note = _more_runs([effect], tolerance, confidence) if verdict == INCONCLUSIVE else ""
    return Cell(*key, verdict, baseline, candidate, effect, tolerance, note=note)


def _judge_beside(
    cell: Cell,
    cells: Mapping[Key, Cell],
    before: Side,
    after: Side,
    single: float,
    corrected: float,
) -> Cell:
    """The cell, which is inconclusive by itself, judged relative to the others of its model.

    Cells that are known to have changed are left out. If most of a model's backends changed alike
    and the noise hides that, the one that did not change looks changed. single, corrected: the
    confidence for one comparison, and for the whole report.
    """
    key, own, tolerance = (cell.model, cell.column), cell.effect, cell.tolerance
    assert own is not None and tolerance is not None
    others = [
        other
        for other in _others(before, after, key)
        if cells[cell.model, other].verdict not in (FASTER, SLOWER)
    ]

    def effect(others: Sequence[str], confidence: float) -> Effect:
        return compare(before.beside(key, others), after.beside(key, others), confidence)

    if len(others) < 2 or min(len(side.beside(key, others)) for side in (before, after)) < 2:
        return cell
    middle = effect(others, corrected)
    verdict = _verdict(middle, tolerance)
    one_by_one = [_verdict(effect([other], single), tolerance) for other in others]
    if verdict in (FASTER, SLOWER) and one_by_one.count(verdict) > (len(others) + 1) // 2:
        note = f"beside {' and '.join(others)}; by itself {own}"
        return replace(cell, verdict=verdict, effect=middle, beside=tuple(others), note=note)
    return replace(cell, note=_more_runs([own, middle], tolerance, corrected))


def _verdict(effect: Effect, tolerance: float) -> str:
    limit = math.log1p(tolerance)
    if effect.low > 0 and effect.estimate > limit:
        return SLOWER
    if effect.high < 0 and effect.estimate < -limit:
        return FASTER
    return SAME if -limit <= effect.low and effect.high <= limit else INCONCLUSIVE


def _more_runs(effects: Sequence[Effect], tolerance: float, confidence: float) -> str:
    """How many more runs a side would settle one of these effects; the cell's own comes first.

    A comparison with others can settle only that a cell changed, not that it is the same.
    """
    own, *middle = effects
    if math.isnan(own.deviation):
        more = 2 - min(own.runs)
        return f"the spread between processes is not known; at least {_runs(more)} a side"
    limit = math.log1p(tolerance)
    telling = [own, *(effect for effect in middle if abs(effect.estimate) > limit)]
    enough = min(runs_to_settle(effect, limit, confidence) for effect in telling)
    if enough > MOST_RUNS:
        return f"more than {MOST_RUNS} runs a side would be needed"
    return f"about {_runs(max(1, enough - min(own.runs)))} a side would settle it"


def _runs(more: int) -> str:
    return "1 more run" if more == 1 else f"{more} more runs"


def _require_distinct(baseline: Sequence[RunRecord], candidate: Sequence[RunRecord]) -> None:
    for run in (*baseline, *candidate):
        if run.fingerprint is None:
            raise FileError(f"{run.path} is a log, which records no conditions; give saved runs")
    known = {(run.identity or run.path.resolve()): run.path for run in baseline}
    contents = {run.path.read_bytes() for run in baseline if run.path.is_file()}
    for run in candidate:
        same_content = run.path.is_file() and run.path.read_bytes() in contents
        if (run.identity or run.path.resolve()) in known or same_content:
            raise UsageError(
                f"{run.path} is in both the baseline and the candidate; give two sets of runs"
            )


def _differences(baseline: Sequence[RunRecord], candidate: Sequence[RunRecord]) -> tuple[str, ...]:
    """The conditions that differ between the runs, by name, with the values of each side."""
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
