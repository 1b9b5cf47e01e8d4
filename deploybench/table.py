"""Merges runs into one table, model by column, and lays a table out as text. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from .errors import FileError
from .results import Run

MIN_COLUMN_WIDTH = 12
MARGIN = 4


def merge(runs: Sequence[Run]) -> pd.DataFrame:
    """Milliseconds by model (index, sorted) and column title; NaN where there is none.

    A cell that several runs hold is the median of their medians, since the process is the unit
    that repeats; of several logs the last one holds. Runs whose fingerprints differ are never
    pooled: their columns are labelled with what differs. Columns of saved runs come in their own
    order, then those of logs in the order of the logs.
    """
    labels = _labels(runs)
    rows = [
        {
            "model": case.model,
            "column": case.column + label,
            "order": float("inf") if case.order is None else case.order,
            "run": number,
            "milliseconds": case.milliseconds,
        }
        for number, (run, label) in enumerate(zip(runs, labels, strict=True))
        for case in run.cases
    ]
    tidy = pd.DataFrame(rows, columns=["model", "column", "order", "run", "milliseconds"])
    from_logs = tidy["order"] == float("inf")
    tidy = pd.concat(
        [tidy[~from_logs], tidy[from_logs].drop_duplicates(["model", "column"], keep="last")]
    )
    columns = tidy.sort_values("order", kind="stable")["column"].drop_duplicates()
    table = tidy.pivot_table(
        index="model", columns="column", values="milliseconds", aggfunc="median"
    )
    table = table.reindex(columns=list(columns)).sort_index()
    return table.rename_axis(index="Model", columns=None)


def _labels(runs: Sequence[Run]) -> list[str]:
    """What to add to the column titles of each run, so that no two unlike columns share a title."""
    prints = [run.fingerprint for run in runs if run.fingerprint is not None]
    names = dict.fromkeys(name for fingerprint in prints for name in fingerprint)
    differing = [
        name for name in names if len({repr(fingerprint.get(name)) for fingerprint in prints}) > 1
    ]
    saved_columns = {
        case.column for run in runs if run.fingerprint is not None for case in run.cases
    }
    labels = []
    for run in runs:
        parts: list[str] = []
        if run.fingerprint is not None:
            parts = [f"{name}={run.fingerprint.get(name)}" for name in differing]
        elif any(case.column in saved_columns for case in run.cases):
            parts = [run.path.name]
        labels.append(f" [{', '.join(parts)}]" if parts else "")
    return labels


def to_csv(table: pd.DataFrame) -> str:
    """The table as the article's CSV: semicolons, two decimals, `-` where there is no figure."""
    return table.to_csv(sep=";", float_format="%.2f", na_rep="-", lineterminator="\n")


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
