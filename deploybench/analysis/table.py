"""Merges runs into one table, models by columns. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import pandas as pd

from ..records.pooling import comparable
from ..records.record import CaseRecord, RunRecord
from ..records.reduced import STATUSES, mark_of
from .labels import DISTURBED, escaped, labels, place


def tidy(runs: Sequence[RunRecord]) -> pd.DataFrame:
    """One row per run and case, in the order given.

    Columns: run (its index in `runs`), path, condition (see RunRecord), model, backend, column,
    order, milliseconds (the median of the run's calls), calls (their number), figure (what a table
    shows: milliseconds, or images per second for throughput), disturbed, and reduced (the verdict
    on reduced precision by its place in STATUSES from the end; 0 for the best, and without one).
    For a log, what it does not record is None, and order is infinite.
    """
    rows = [
        {
            "run": number,
            "path": run.path,
            "condition": run.condition,
            "model": case.model,
            "backend": case.backend,
            "column": case.column,
            "order": place(case),
            "milliseconds": case.latency_ms,
            "calls": len(case.samples_seconds),
            "figure": _figure(run, case),
            "disturbed": bool(case.disturbed),
            "reduced": STATUSES[::-1].index(case.reduced.status) if case.reduced else 0,
        }
        for number, run in enumerate(runs)
        for case in run.cases
    ]
    return pd.DataFrame(rows)


def _figure(run: RunRecord, case: CaseRecord) -> float:
    conditions = run.fingerprint or {}
    batch_size = conditions.get("batch_size")
    if conditions.get("metric") == "throughput" and isinstance(batch_size, int):
        return 1e3 * batch_size / case.latency_ms
    return case.latency_ms


def merge(runs: Sequence[RunRecord]) -> pd.DataFrame:
    """The figures by model (index, sorted) and column title; NaN without a figure.

    Figures are milliseconds, or images per second for runs that measured throughput. If several
    runs have a cell, it is the median of their medians, since the process is the unit of
    repetition; if several logs have it, the last one counts. Runs with different fingerprints are
    never pooled: their columns are labelled with what differs. A log shares the column of its title
    unless a saved run has one of the same cells; it then gets its own column, labelled with its
    file. Columns of saved runs come first, in their own order, then those of logs in the order
    given.
    """
    return _pivot(_titled(runs), "figure", "median")


def disturbed(runs: Sequence[RunRecord]) -> pd.DataFrame:
    """Whether any run of a cell was disturbed, by model and title as in `merge`."""
    return _pivot(_titled(runs), "disturbed", "max").eq(True)


def unproven(runs: Sequence[RunRecord]) -> pd.DataFrame:
    """The mark of reduced precision of each cell, by model and title as in `merge`."""
    worst = _pivot(_titled(runs), "reduced", "max").fillna(0).astype(int)
    return worst.map(lambda place: mark_of(STATUSES[::-1][place]))


def _pivot(rows: pd.DataFrame, values: str, pooled: Literal["median", "max"]) -> pd.DataFrame:
    table = rows.pivot_table(index="model", columns="title", values=values, aggfunc=pooled)
    table = table.reindex(index=sorted(table.index), columns=rows["title"].unique())
    return table.rename_axis(index="Model", columns=None)


def _titled(runs: Sequence[RunRecord]) -> pd.DataFrame:
    """The rows of `tidy` that count, with their column titles, in the order of the columns."""
    (runs,) = comparable(runs)
    rows = tidy(runs)
    from_log = rows["condition"].isna()
    named = labels(runs)
    rows["title"] = [
        column + named.get(condition, "")
        for column, condition in zip(rows["column"], rows["condition"], strict=True)
    ]
    cells = pd.MultiIndex.from_frame(rows[["model", "title"]])
    disputed = from_log & cells.isin(cells[~from_log])
    apart = rows["run"].isin(rows.loc[disputed, "run"])
    rows["title"] = [
        f"{title} [{escaped(path.name)[1:-1]}]" if alone else title
        for title, path, alone in zip(rows["title"], rows["path"], apart, strict=True)
    ]
    last = rows[from_log].drop_duplicates(["model", "title"], keep="last")
    saved = rows[~from_log].sort_values(["order", "column"], kind="stable")
    return pd.concat([saved, last])


def to_rows(
    table: pd.DataFrame,
    marked: pd.DataFrame | None = None,
    decimals: int = 2,
    further: pd.DataFrame | None = None,
) -> list[list[str]]:
    """The table as text, the header first; `-` without a figure.

    marked: by model and title, which figures get the DISTURBED mark; None if no figure does.
    further: the text that follows each figure, as `unproven` returns it.
    """
    rows = [[str(table.index.name), *table.columns]]
    for model, *figures in table.itertuples(name=None):
        marks = [False] * len(figures) if marked is None else marked.loc[model]
        words = [""] * len(figures) if further is None else further.loc[model]
        cells = zip(figures, marks, words, strict=True)
        rows.append([model, *(_cell(figure, decimals, *cell) for figure, *cell in cells)])
    return rows


def _cell(figure: float, decimals: int, is_marked: bool, further: str) -> str:
    if math.isnan(figure):
        return "-"
    return f"{figure:.{decimals}f}{DISTURBED if is_marked else ''}{further}"
