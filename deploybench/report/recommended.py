"""What to take for each model, as a table. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..analysis import cells, recommendation
from ..analysis.recommendation import Choice, Recommendation
from ..analysis.speedup import AGAIN, BASELINE, NO_BASELINE
from ..records.record import RunRecord
from .marks import marks
from .of_runs import figure, speedup_data, timed_cells
from .tables import NOTHING, Table

UNPROVEN = "not recommended"
"""Of reduced precision, and not shown to be within its budget."""


def table(runs: Sequence[RunRecord]) -> Table:
    """What to take for each model: the fastest backend, and the fastest without Python."""
    found = recommendation.recommend(runs)
    known = {(cell.model, cell.column.title): cell for cell in timed_cells(runs)}
    spent = ("Export (s)", "Break-even (calls)", "First call (ms)")
    rows = [["Model", "Choice", "Backend", "Times eager", *spent, "Note"]]
    rows += [row for each in found for row in _choices(each, known)]
    summary = recommendation.summary(found)
    data = {"models": [_recommendation(each) for each in found], "summary": summary}
    return Table.of(
        rows,
        words=frozenset({"Choice", "Backend"}),
        below=frozenset({"Note"}),
        optional=frozenset({*spent, "Note"}),
        title="The fastest backend with the right answer",
        notes=(f"{summary[0].upper()}{summary[1:]}.", *marks(rows)),
        data=data,
    )


def _choices(
    each: Recommendation, known: Mapping[tuple[str, str], cells.Cell]
) -> Iterable[list[str]]:
    chosen = (
        *(("fastest", each.fastest), ("without Python", each.without_python)),
        *((AGAIN, doubtful) for doubtful in each.again),
        *((UNPROVEN, unproven) for unproven in each.unproven),
    )
    for kind, choice in chosen:
        if choice is not None:
            cell = known[each.model, choice.column]
            times = str(choice.speedup) if choice.speedup else "1.00"
            spent = _spent(cell)
            yield [each.model, kind, choice.column, times, *spent, NOTHING]
    for column in each.lacking:
        spent = _spent(known[each.model, column])
        remedy = f"run it beside {BASELINE}: --backends {BASELINE},..."
        yield [each.model, "not compared", column, NO_BASELINE, *spent, remedy]


def _spent(cell: cells.Cell) -> list[str]:
    """Export in seconds, break-even in calls, and the first call in milliseconds."""
    exported, first = (cell.median_of(name) for name in ("export_seconds", "first_call_ms"))
    known = (
        cell.break_even if cell.break_even.isdecimal() or cell.break_even == "never" else NOTHING
    )
    return [figure(exported, 1, ""), known, figure(first, 0, "")]


def _recommendation(each: Recommendation) -> dict[str, object]:
    return {
        "model": each.model,
        "fastest": _choice(each.fastest),
        "without_python": _choice(each.without_python),
        "measure_again": [_choice(doubtful) for doubtful in each.again],
        "not_recommended": [_choice(unproven) for unproven in each.unproven],
        "not_compared": list(each.lacking),
    }


def _choice(choice: Choice | None) -> dict[str, object] | None:
    if choice is None:
        return None
    times = None if choice.speedup is None else speedup_data(choice.speedup)
    return {"column": choice.column, "speedup": times, "cost": choice.cost}
