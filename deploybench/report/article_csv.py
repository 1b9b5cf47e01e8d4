"""The article's CSV: models by columns, with semicolons. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import FileError


def to_csv(rows: Sequence[Sequence[str]]) -> str:
    """The rows, the header first, as the article's CSV."""
    # Not by the csv module, which would quote some titles; the article's CSV has no quotes.
    return "".join(";".join(row) + "\n" for row in rows)


def parse_csv(text: str, name: str) -> list[list[str]]:
    """The rows of such a CSV, the header first. name: what errors call the file.

    Raises FileError if there are no rows or if they differ in length.
    """
    rows = [line.strip().split(";") for line in text.splitlines()]
    if not rows or len(rows[0]) < 2:
        raise FileError(f"{name} is not a CSV of merge_perf: it has no header 'Model;...'")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise FileError(
                f"{name}, line {number}: {len(row)} fields where the header has {len(rows[0])}"
            )
    return rows
