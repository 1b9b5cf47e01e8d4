"""Merges runs into one table, model by column, and lays a table out as text. Imports no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Literal

import pandas as pd

from ..errors import FileError
from ..records.run import DISTURBED, Run, Value, tidy

MIN_COLUMN_WIDTH = 12
MARGIN = 4


def merge(runs: Sequence[Run]) -> pd.DataFrame:
    """The figures by model (index, sorted) and column title; NaN where there is none.

    Figures are milliseconds, or images per second of runs that measured throughput. A cell that
    several runs hold is the median of their medians, since the process is the unit that repeats; of
    several logs the last one holds. Runs whose fingerprints differ are never pooled: their columns
    are labelled with what differs. A log shares the column of its title unless it gives a cell that
    a run gives too; it then has one of its own, labelled with its file. Columns of saved runs come
    in their own order, then those of logs in the order of the logs.
    """
    return _pivot(_titled(runs), "figure", "median")


def disturbed(runs: Sequence[Run]) -> pd.DataFrame:
    """Whether other work got in the way of any run of a cell, by model and title as in `merge`."""
    return _pivot(_titled(runs), "disturbed", "max").eq(True)


def _pivot(rows: pd.DataFrame, values: str, pooled: Literal["median", "max"]) -> pd.DataFrame:
    table = rows.pivot_table(index="model", columns="title", values=values, aggfunc=pooled)
    table = table.reindex(index=sorted(table.index), columns=rows["title"].unique())
    return table.rename_axis(index="Model", columns=None)


def _titled(runs: Sequence[Run]) -> pd.DataFrame:
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
        f"{title} [{_escaped(path.name)[1:-1]}]" if alone else title
        for title, path, alone in zip(rows["title"], rows["path"], apart, strict=True)
    ]
    last = rows[from_log].drop_duplicates(["model", "title"], keep="last")
    saved = rows[~from_log].sort_values(["order", "column"], kind="stable")
    return pd.concat([saved, last])


def labels(runs: Sequence[Run]) -> dict[str, str]:
    """By condition, what to add to its column titles: all that differs, "" where nothing does.

    A throughput is always named, since more of it is better.
    """
    prints = {run.condition: run.fingerprint for run in runs if run.fingerprint is not None}
    names = dict.fromkeys(name for fingerprint in prints.values() for name in fingerprint)
    differing = [
        name
        for name in names
        if len({_shown(each, name) for each in prints.values()}) > 1
        or (name == "metric" and any(each.get(name) == "throughput" for each in prints.values()))
    ]
    named: dict[str, str] = {}
    # Text is shown without its quotes, unless "1" could then be taken for 1.
    for quotes in ('"', ""):
        for condition, fingerprint in prints.items():
            parts = [
                f"{_escaped(name)[1:-1]}={_shown(fingerprint, name).strip(quotes)}"
                for name in differing
            ]
            named[str(condition)] = f" [{', '.join(parts)}]" if parts else ""
        if len(set(named.values())) == len(named):
            break
    return named


def _shown(fingerprint: Mapping[str, Value], name: str) -> str:
    if name not in fingerprint:
        return "absent"
    value = fingerprint[name]
    return "none" if value is None else _escaped(value)


def _escaped(value: Value) -> str:
    """`value` as JSON, without what would end a field or a line of the CSV."""
    return json.dumps(value).replace(";", "\\u003b")


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


def to_csv(rows: Sequence[Sequence[str]]) -> str:
    """Rows as the article's CSV, with semicolons."""
    # By hand, since the csv module puts quotes around some titles and the article knows none.
    return "".join(";".join(row) + "\n" for row in rows)


def parse_csv(text: str, name: str) -> list[list[str]]:
    """The rows of such a CSV, its header first; `name` is what errors call it.

    Raises FileError where there are none or where they differ in length.
    """
    rows = [line.strip().split(";") for line in text.splitlines()]
    if not rows or len(rows[0]) < 2:
        raise FileError(f"{name} is no CSV of this suite: it has no header 'Model;...'")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise FileError(
                f"{name}, line {number}: {len(row)} fields where the header has {len(rows[0])}"
            )
    return rows


def layout(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equal length, the header first, as the article's text table.

    The first column is aligned left; in the others the values stand together in the middle, aligned
    right, below a centred title. Every line is padded to the same width.
    """
    header, *body = rows
    columns = list(zip(*rows, strict=True))
    widths = [max(MIN_COLUMN_WIDTH, *map(len, column)) for column in columns]
    value_widths = [max((len(value) for value in column[1:]), default=0) for column in columns]

    def line(fields: Sequence[str], right_margins: Sequence[int]) -> str:
        first = fields[0].ljust(widths[0])
        others = [
            field.rjust(width - right) + " " * right
            for field, width, right in zip(fields[1:], widths[1:], right_margins, strict=True)
        ]
        return (" " * MARGIN).join([first, *others])

    centred = [
        (width - len(title)) // 2 for title, width in zip(header[1:], widths[1:], strict=True)
    ]
    together = [
        (width - values) // 2 for width, values in zip(widths[1:], value_widths[1:], strict=True)
    ]
    rule = "-" * (sum(widths) + MARGIN * (len(widths) - 1))
    lines = [line(header, centred), rule, *(line(row, together) for row in body)]
    return "".join(f"{text}\n" for text in lines)
