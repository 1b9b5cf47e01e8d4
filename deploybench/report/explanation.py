"""Where a deployed form leaves eager, as a table. Imports no torch."""

from __future__ import annotations

import math

from ..records.explanation import Explanation, LayerError
from .tables import Table

BEFORE, AFTER, LAST = 3, 10, 3
"""How many layers are shown around the first one beyond the limit, and at the end."""
HEADER = ("Layer", "Kind", "Error", "Share")
FUSED = "fused"


def table(found: Explanation, everything: bool = False) -> Table:
    """The first layer beyond the limit in a sentence, and the layers around it.

    everything: all layers.
    """
    rows = [HEADER]
    previous = -1
    places = _shown(found, everything)
    for place in places:
        rows += _left_out(place - previous - 1)
        rows.append(_row(found.layers[place]))
        previous = place
    rows += _left_out(len(found.layers) - previous - 1)
    return Table.of(
        rows,
        words=frozenset({"Kind"}),
        title=f"{found.model} through {found.backend}",
        before=tuple(sentences(found)),
        data=found.to_json(),
    )


def all_layers(found: Explanation, everything: bool = True) -> Table:
    """The same with every layer, for programs."""
    return table(found, everything=True)


def sentences(found: Explanation) -> list[str]:
    """What was found, in words."""
    case = f"{found.model} through {found.backend}"
    lines = [f"{case}: {found.verdict}" + (f", {found.reason}" if found.reason else "")]
    first, limit = found.first, f"{found.limit:g} times eager's error"
    if first is None:
        lines.append(f"no layer is beyond {limit}")
    else:
        layer = f"{first.name} ({first.kind}), {number(first.error)} times"
        lines.append(f"the first layer beyond {limit}: {layer}")
    if not found.is_same_when_observed:
        lines.append(
            f"with the layers as outputs, the model's output is off by "
            f"{number(found.observed_error)} instead of {number(found.error)}: what the backend "
            "fuses is computed otherwise here"
        )
    hidden = sum(each.error is None for each in found.layers)
    if hidden:
        lines.append(
            f"{hidden} of {len(found.layers)} layers have no value of their own here: they are "
            "fused with another one"
        )
    return lines


def _shown(found: Explanation, everything: bool) -> list[int]:
    """The places of the layers to show."""
    places = range(len(found.layers))
    if everything or len(places) <= BEFORE + AFTER + LAST:
        return list(places)
    middle = next((place for place in places if found.layers[place] is found.first), 0)
    last = len(places) - LAST
    return [place for place in places if -BEFORE <= place - middle < AFTER or place >= last]


def _left_out(count: int) -> list[tuple[str, str, str, str]]:
    return [(f"({count} more)", "", "", "")] if count else []


def _row(layer: LayerError) -> tuple[str, str, str, str]:
    if layer.error is None:
        return layer.name, layer.kind, FUSED, ""
    share = "" if layer.share is None else f"{layer.share:.1e}"
    return layer.name, layer.kind, number(layer.error), share


def number(error: float | None) -> str:
    """An error in units of eager's."""
    if error is None:
        return FUSED
    return "NaN" if math.isinf(error) else f"{error:.3g}"
