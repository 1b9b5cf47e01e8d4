"""The article's table as text. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import printable

MIN_COLUMN_WIDTH = 12
MARGIN = 4


def layout(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equal length, the header first, as the article's text table.

    The first column is aligned left. In the others, the values are aligned right and centred as a
    block below a centred title. Every line is padded to the same width.
    """
    rows = [[printable(field) for field in row] for row in rows]
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
