"""What the marks behind figures mean, in words. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from ..analysis.labels import DISTURBED
from ..analysis.speedup import HOLDS_ONE
from ..records.reduced import STATUSES, mark_of

MARKS = {
    DISTURBED: f"{DISTURBED} disturbed: other work slowed it down, so measure it again",
    HOLDS_ONE: f"{HOLDS_ONE} not significant: the 95% confidence interval holds 1",
    **{
        mark_of(status): f"{mark_of(status).strip()} not shown to be as good as eager: see "
        "reduced precision in the docs"
        for status in STATUSES
        if mark_of(status)
    },
}


def marks(rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """What the marks in the fields mean."""
    fields = [field for row in rows[1:] for field in row[1:] if field[:1].isdigit()]
    return tuple(words for mark, words in MARKS.items() if any(mark in field for field in fields))
