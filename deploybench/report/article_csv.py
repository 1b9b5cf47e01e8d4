"""The article's CSV: models by columns, with semicolons. Imports no torch."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from ..errors import FileError, printable
from .tables import Table, View

# What makes a spreadsheet take a field for a formula, or for the start of a quoted one, also after
# spaces and in the wide letters of East Asian input. A dash alone is a cell without a figure.
FORMULA = re.compile(r"\s*[=+\-@\"\uff1d\uff0b\uff0d\uff20]")
NOTHING = "-"


def write(table: Table, view: View | None = None) -> str:
    """A table in the same form."""
    return to_csv([table.header, *table.rows])


def to_csv(rows: Sequence[Sequence[str]]) -> str:
    """The rows, the header first, as the article's CSV."""
    # Not by the csv module, which would quote some titles; the article's CSV has no quotes.
    return "".join(";".join(map(_field, row)) + "\n" for row in rows)


def _field(text: str) -> str:
    """`text` as a field: an apostrophe has a spreadsheet show a formula instead of following it."""
    return printable(guarded(text) or "").replace(";", "\\u003b")


def guarded(text: str | None) -> str | None:
    """`text`, which a spreadsheet then takes for what it is."""
    return f"'{text}" if text and text != NOTHING and FORMULA.match(text) else text


def parse_csv(text: str, name: str) -> list[list[str]]:
    """The rows of such a CSV, the header first. name: what errors call the file.

    Raises FileError if there are no rows, if they differ in length, and for a number that is not a
    figure.
    """
    # Not splitlines, which takes more characters for the end of a line than a CSV does.
    lines = text.removesuffix("\n").split("\n")
    rows = [line.strip().split(";") for line in lines]
    if rows[0][0] != "Model" or len(rows[0]) < 2:
        raise FileError(f"{name} is not a CSV of merge_perf: it has no header 'Model;...'")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise FileError(
                f"{name}, line {number}: {len(row)} fields where the header has {len(rows[0])}"
            )
        if wrong := [field for field in row[1:] if _is_no_figure(field)]:
            raise FileError(f"{name}, line {number}: '{wrong[0]}' is not a figure")
    return rows


def _is_no_figure(field: str) -> bool:
    """Whether a field has a number that no figure can be, such as NaN or -1.

    A field may have several, as an interval does, or none, as the title of a backend does.
    """
    for word in re.split(r"[][(), *~]+", field):
        try:
            number = float(word)
        except ValueError:
            continue
        if not (math.isfinite(number) and number >= 0):
            return True
    return False
