"""The tables of saved runs, each with the same as data for programs. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..analysis import (
    cells,
    costs,
    percentiles,
    reduced_work,
    roofline_bound,
    speedup,
    table,
)
from ..analysis.labels import DISTURBED
from ..analysis.percentiles import Percentiles
from ..analysis.speedup import Speedup
from ..errors import FileError
from ..records.record import RunRecord
from .marks import marks
from .tables import NOTHING, Section, Table

LATENCY, THROUGHPUT = "median latency in milliseconds", "median images per second"
PERCENTILES = tuple(percentiles.name(share) for share in percentiles.SHARES)
MOST = 1e9


def latencies(runs: Sequence[RunRecord], decimals: int = 2) -> Table:
    """Models by backends: the median latency, or images per second."""
    marked = table.disturbed(runs)
    figures = table.merge(runs)
    rows = table.to_rows(figures, marked, decimals, table.unproven(runs))
    known: Mapping[Any, Mapping[Any, float]] = figures.to_dict()
    metrics = _metrics(runs)
    units = dict.fromkeys(metrics.get(title, LATENCY) for title in rows[0][1:])
    data = [
        {
            "model": cell.model,
            "column": cell.column.title,
            "figure": known[cell.column.title][cell.model],
            "unit": "images/s" if metrics.get(cell.column.title) == THROUGHPUT else "ms",
            "runs": len(cell.cases),
            "calls": _calls(cell),
            "disturbed": list(cell.disturbed),
            "reduced_precision": cell.reduced.status if cell.reduced else None,
            "percentiles_ms": _claimed(cell, metrics),
        }
        for cell in timed_cells(runs)
    ]
    return Table.of(rows, title=" and ".join(units), notes=marks(rows), data=data)


def all_percentiles(runs: Sequence[RunRecord], decimals: int = 2) -> Table:
    """One row per model and backend: the percentiles of all calls of all runs together."""
    metrics = _metrics(runs)
    rows = [["Model", "Backend", "Calls", *(f"{name} (ms)" for name in PERCENTILES)]]
    data = []
    for cell in timed_cells(runs):
        known = _claimed(cell, metrics)
        mark = (DISTURBED if cell.disturbed else "") + cell.mark
        figures = [figure((known or {}).get(name), decimals, mark) for name in PERCENTILES]
        rows.append([cell.model, cell.column.title, str(_calls(cell)), *figures])
        data.append(
            {
                "model": cell.model,
                "column": cell.column.title,
                "calls": _calls(cell),
                "disturbed": list(cell.disturbed),
                "reduced_precision": cell.reduced.status if cell.reduced else None,
                "percentiles_ms": known,
            }
        )
    notes = (*marks(rows), _least())
    return Table.of(rows, names=2, title="Percentiles of latencies", notes=notes, data=data)


def percentile(runs: Sequence[RunRecord], name: str, decimals: int = 2) -> Table:
    """Models by backends: one percentile of the calls of all runs together, in milliseconds."""
    found = timed_cells(runs)
    metrics = _metrics(runs)
    titles = list(dict.fromkeys(column.title for column in _columns(runs)))
    known = {(cell.model, cell.column.title): cell for cell in found}
    rows = [["Model", *titles]]
    for model in sorted({cell.model for cell in found}):
        fields = [model]
        for title in titles:
            cell = known.get((model, title))
            figures = _claimed(cell, metrics) if cell else None
            mark = (DISTURBED if cell.disturbed else "") + cell.mark if cell else ""
            fields.append(figure((figures or {}).get(name), decimals, mark))
        rows.append(fields)
    data = all_percentiles(runs).data
    title = f"{name} of the latencies in milliseconds"
    return Table.of(rows, title=title, notes=(*marks(rows), _least()), data=data)


def floors(runs: Sequence[RunRecord], decimals: int = 2) -> Table:
    """Models by backends: multiples of the roofline bound."""
    rows = roofline_bound.to_rows(runs, decimals)
    data = [
        {
            "model": cell.model,
            "column": cell.column.title,
            "floor_ms": cell.floor.milliseconds,
            "bound_by": cell.floor.bound_by,
            "times_floor": cell.times_floor,
        }
        for cell in timed_cells(runs)
        if cell.floor is not None
    ]
    title = "Multiples of the roofline bound"
    words = frozenset({"Bound by"})
    return Table.of(rows, words=words, title=title, notes=marks(rows), data=data)


def speedups(runs: Sequence[RunRecord]) -> Table:
    """Models by backends: the speed-up against eager, with its interval."""
    found = speedup.compare(runs)
    rows = speedup.to_rows(found, speedup.without_baseline(runs))
    data = [
        {"model": model, "column": title, **speedup_data(each)}
        for title, models in found.items()
        for model, each in models.items()
    ]
    title = "Times as fast as eager PyTorch, with the 95% confidence interval"
    return Table.of(rows, title=title, notes=marks(rows), sections=_slower(runs), data=data)


def _slower(runs: Sequence[RunRecord]) -> tuple[Section, ...]:
    """The cells that are slower in reduced precision than in float32, if there are any."""
    found = reduced_work.slower_than_float32(runs)
    lines = tuple(f"{each.model}, {each.column}: {each.reason}" for each in found)
    return (Section("slower in reduced precision:", lines),) if lines else ()


def all_costs(runs: Sequence[RunRecord], decimals: int = 2) -> Table:
    """One row per model and backend: what it costs beside its calls."""
    rows = costs.to_rows(runs, decimals)
    names = (
        *("export_seconds", "artifact_bytes", "load_seconds", "first_call_ms", "second_call_ms"),
        *("memory_bytes", "device_memory_bytes", "cold_start_seconds", "cold_start_peak_bytes"),
        "latency_ms",
    )
    data = [
        {
            "model": cell.model,
            "column": cell.column.title,
            **{name: cell.median_of(name) for name in names},
            "break_even_calls": int(cell.break_even) if cell.break_even.isdecimal() else None,
            "break_even": cell.break_even,
            **_reduced_work(cell),
        }
        for cell in timed_cells(runs)
    ]
    return Table.of(
        rows,
        names=2,
        words=frozenset({costs.IN_REDUCED}),
        optional=frozenset(rows[0][2:]),
        title="Costs of each case",
        notes=marks(rows),
        sections=_slower(runs),
        data=data,
    )


def _reduced_work(cell: cells.Cell) -> dict[str, object]:
    """How much of a cell ran in reduced precision, in the last run; nothing for float32."""
    found = cell.cases[-1].reduced
    names = ("precision", "layers", "reduced_layers", "time_share", "cpu_units")
    return {name: getattr(found, name) for name in names} if found else {}


def speedup_data(each: Speedup) -> dict[str, object]:
    """A speed-up for programs; no bound that is beyond reason."""
    low, high = (
        bound if bound is None or bound < MOST else None for bound in (each.low, each.high)
    )
    return {
        "ratio": each.ratio,
        "low": low,
        "high": high,
        "units": each.units,
        "significant": not each.holds_one,
        "disturbed": each.disturbed,
        "doubtful": each.doubtful,
    }


def _columns(runs: Sequence[RunRecord]) -> list[cells.Column]:
    return cells.all_columns(runs, cells.run_labels(runs))


def timed_cells(runs: Sequence[RunRecord]) -> list[cells.Cell]:
    """The cells with a figure, by model, in the order of the columns."""
    titles = cells.run_labels(runs)
    columns = cells.all_columns(runs, titles)
    places = {column.title: place for place, column in enumerate(columns)}
    found = [cell for cell in cells.all_cells(runs, titles, columns).values() if cell.cases]
    return sorted(found, key=lambda cell: (cell.model, places[cell.column.title]))


def _calls(cell: cells.Cell) -> int:
    return sum(len(case.samples_seconds) for case in cell.cases)


def _metrics(runs: Sequence[RunRecord]) -> dict[str, str]:
    """What the figures of each column are."""
    titles = cells.run_labels(runs)
    return {
        case.column + titles[id(run)]: THROUGHPUT
        for run in runs
        for case in run.cases
        if (run.fingerprint or {}).get("metric") == "throughput"
    }


def _claimed(cell: cells.Cell, metrics: Mapping[str, str]) -> dict[str, float | None] | None:
    """The percentiles of a cell; None for throughput, whose samples are means of several calls."""
    if metrics.get(cell.column.title) == THROUGHPUT:
        return None
    return asdict(Percentiles.of([each for case in cell.cases for each in case.samples_ms]))


def figure(value: float | None, decimals: int, mark: str) -> str:
    """A figure with its mark, as a field."""
    return NOTHING if value is None or math.isnan(value) else f"{value:.{decimals}f}{mark}"


def _least() -> str:
    parts = [
        f"{percentiles.least_samples(share)} for {percentiles.name(share)}"
        for share in percentiles.SHARES
        if share > 0.5
    ]
    return f"{NOTHING} too few calls to claim it at 99% confidence: it takes {', '.join(parts)}"


def by_metric(runs: Sequence[RunRecord], metric: str, decimals: int = 2) -> Table:
    """The table of the median, or of the percentile of that name.

    Raises FileError for a percentile of runs that all measured throughput.
    """
    if metric == "median":
        return latencies(runs, decimals)
    if all((run.fingerprint or {}).get("metric") == "throughput" for run in runs):
        raise FileError(
            f"{runs[0].path} measured throughput, which has no {metric}: a sample is the mean of "
            "several calls; save a run with --metric latency"
        )
    return percentile(runs, metric, decimals)
