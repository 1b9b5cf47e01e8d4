"""What columns are called, their order, and how a figure is marked. Imports no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

from ..records.record import CaseRecord, RunRecord, Value

DISTURBED = "*"
"""Stands behind a figure that other work on the machine got in the way of."""


def place(case: CaseRecord) -> float:
    """Where a case's column stands from left to right; after all others for a log's."""
    return math.inf if case.column_order is None else case.column_order


def labels(runs: Sequence[RunRecord]) -> dict[str, str]:
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
    """`value` as JSON, without what would end a field or a line of the CSV."""
    return json.dumps(value).replace(";", "\\u003b")
