"""Merges runs into one table, model by column. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import pandas as pd

from ..records.record import CaseRecord, RunRecord
from .labels import DISTURBED, escaped, labels, place


def tidy(runs: Sequence[RunRecord]) -> pd.DataFrame:
    """One row per run and case, in the order given.

    Columns: run (its number in `runs`), path, condition (see RunRecord), model, backend, column,
    order, milliseconds (the median of that run's calls), calls (how many they were), figure (what a
    table shows of it: milliseconds, or images per second of a throughput) and disturbed (whether
    other work on the machine got in its way). What a log does not tell is None, and order is then
    infinite.
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
    """The figures by model (index, sorted) and column title; NaN where there is none.

    Figures are milliseconds, or images per second of runs that measured throughput. A cell that
    several runs hold is the median of their medians, since the process is the unit that repeats; of
    several logs the last one holds. Runs whose fingerprints differ are never pooled: their columns
    are labelled with what differs. A log shares the column of its title unless it gives a cell that
    a run gives too; it then has one of its own, labelled with its file. Columns of saved runs come
    in their own order, then those of logs in the order of the logs.
    """
    return _pivot(_titled(runs), "figure", "median")


def disturbed(runs: Sequence[RunRecord]) -> pd.DataFrame:
    """Whether other work got in the way of any run of a cell, by model and title as in `merge`."""
    return _pivot(_titled(runs), "disturbed", "max").eq(True)


def _pivot(rows: pd.DataFrame, values: str, pooled: Literal["median", "max"]) -> pd.DataFrame:
    table = rows.pivot_table(index="model", columns="title", values=values, aggfunc=pooled)
    table = table.reindex(index=sorted(table.index), columns=rows["title"].unique())
    return table.rename_axis(index="Model", columns=None)


def _titled(runs: Sequence[RunRecord]) -> pd.DataFrame:
    """The rows of `tidy` that count, with the titles of their columns, in the columns' order."""
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
    table: pd.DataFrame, marked: pd.DataFrame | None = None, decimals: int = 2
) -> list[list[str]]:
    """The table as text, its header first: so many decimals, `-` where there is no figure.

    marked: by model and title, which figures get a DISTURBED behind them; None for none.
    """
    rows = [[str(table.index.name), *table.columns]]
    for model, *figures in table.itertuples(name=None):
        marks = [False] * len(figures) if marked is None else marked.loc[model]
        cells = zip(figures, marks, strict=True)
        rows.append([model, *(_cell(figure, decimals, mark) for figure, mark in cells)])
    return rows


def _cell(figure: float, decimals: int, is_marked: bool) -> str:
    return "-" if math.isnan(figure) else f"{figure:.{decimals}f}{DISTURBED if is_marked else ''}"
