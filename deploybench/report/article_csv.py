"""The article's CSV: models by columns, with semicolons. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import FileError


def to_csv(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text, the header first, as that CSV."""
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
