"""The titles and order of columns, and the mark of a disturbed figure. Imports no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence

from ..records.record import CaseRecord, RunRecord, Value
from ..records.reduced import STATUSES, Reduced

DISTURBED = "*"
"""Marks a disturbed figure."""


def worst(cases: Iterable[CaseRecord]) -> Reduced | None:
    """The worst verdict on reduced precision among the cases; None if none of them has any."""
    found = [case.reduced for case in cases if case.reduced is not None]
    return min(found, key=lambda each: STATUSES.index(each.status), default=None)


def mark(cases: Iterable[CaseRecord]) -> str:
    """The mark of reduced precision that is not shown to be within its budget; empty for others.

    cases: those that the figure is computed from; the worst verdict among them counts.
    """
    found = worst(cases)
    return "" if found is None else found.mark


def place(case: CaseRecord) -> float:
    """The sort key of a case's column, from left to right. Columns of logs come last."""
    return math.inf if case.column_order is None else case.column_order


def labels(runs: Sequence[RunRecord]) -> dict[str, str]:
    """What to add to the column titles of each condition: all that differs, or "".

    Throughput is always named, because for it more is better.
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
    # Text is shown without quotes, unless "1" could then be mistaken for 1.
    for quotes in ('"', ""):
        for condition, fingerprint in prints.items():
            parts = [
                f"{escaped(name)[1:-1]}={_shown(fingerprint, name).strip(quotes)}"
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
    return "none" if value is None else escaped(value)


def escaped(value: Value) -> str:
    """`value` as JSON, without characters that would end a field or a line of the CSV."""
    return json.dumps(value).replace(";", "\\u003b")
