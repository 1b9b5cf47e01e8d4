"""Where a deployed form leaves eager, as a table. Imports no torch."""

from __future__ import annotations

import math

from ..records.explanation import IDEAL_DB, Explanation, LayerError
from .tables import NOTHING, Table

BEFORE, AFTER, LAST = 3, 10, 3
"""How many layers are shown around the one to look at, and at the end."""
HEADER = ("Layer", "Kind", "Error", "Share")
REDUCED_HEADER = ("Layer", "Kind", "SQNR (dB)", "Share")
FUSED = "fused"


def table(found: Explanation, everything: bool = False) -> Table:
    """The layer to look at in a sentence, and the layers around it.

    everything: all layers.
    """
    rows = [REDUCED_HEADER if found.precision else HEADER]
    previous = -1
    places = _shown(found, everything)
    for place in places:
        rows += _left_out(place - previous - 1)
        rows.append(_row(found.layers[place], found.precision))
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
    said = found.reason.startswith(found.verdict)
    lines = [f"{case}: {', '.join(filter(None, ['' if said else found.verdict, found.reason]))}"]
    lines.append(_named(found))
    if not found.is_same_when_observed:
        lines.append(
            f"with the layers as outputs, the model's output is off by "
            f"{number(found.observed_error)} instead of {number(found.error)}: what the backend "
            "fuses is computed otherwise here"
        )
    hidden = sum(each.error is None for each in found.layers)
    if hidden:
        lines.append(
            "without a value of their own here, since they are fused with another one: "
            f"{hidden} of {len(found.layers)} layers"
        )
    return lines


def _named(found: Explanation) -> str:
    """The layer to look at."""
    layer = found.named
    if found.precision is None:
        limit = f"{found.limit:g} times eager's error"
        if layer is None:
            return f"no layer is beyond {limit}"
        return f"the first layer beyond {limit}: {_call(layer)}, {number(layer.error)} times"
    if layer is None:
        return f"no layer has an SQNR below {IDEAL_DB:g} dB"
    before, own = next(fall[1:] for fall in found.falls() if fall[0] is layer)
    return (
        f"the SQNR falls furthest at {_call(layer)}: from {decibels(before)} to {decibels(own)} dB"
    )


def _call(layer: LayerError) -> str:
    return f"{layer.name} ({layer.kind})"


def _shown(found: Explanation, everything: bool) -> list[int]:
    """The places of the layers to show."""
    places = range(len(found.layers))
    if everything or len(places) <= BEFORE + AFTER + LAST:
        return list(places)
    middle = next((place for place in places if found.layers[place] is found.named), 0)
    last = len(places) - LAST
    return [place for place in places if -BEFORE <= place - middle < AFTER or place >= last]


def _left_out(count: int) -> list[tuple[str, str, str, str]]:
    return [(f"({count} more)", "", "", "")] if count else []


def _row(layer: LayerError, precision: str | None) -> tuple[str, str, str, str]:
    if layer.error is None:
        return layer.name, layer.kind, FUSED, ""
    share = "" if layer.share is None else f"{layer.share:.1e}"
    size = decibels(layer.sqnr_db) if precision else number(layer.error)
    return layer.name, layer.kind, size, share


def decibels(ratio: float | None) -> str:
    """A ratio in dB, without its unit."""
    if ratio is None:
        return NOTHING
    return "NaN" if ratio == -math.inf else f"{ratio:.1f}"


def number(error: float | None) -> str:
    """An error in units of eager's."""
    if error is None:
        return FUSED
    return "NaN" if math.isinf(error) else f"{error:.3g}"
