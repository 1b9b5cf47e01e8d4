"""Where a deployed form leaves eager, as text or JSON. Imports no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

from ..records.explanation import Explanation, LayerError
from .text import layout

BEFORE, AFTER, LAST = 3, 10, 3
"""How many layers are shown around the first one beyond the limit, and at the end."""


def text(found: Explanation, everything: bool = False) -> str:
    """The first layer beyond the limit in a sentence, and a table of the layers around it.

    everything: all layers.
    """
    return "".join(f"{line}\n" for line in _sentences(found)) + "\n" + _table(found, everything)


def as_json(found: Explanation, everything: bool = True) -> str:
    """All layers, for programs."""
    return json.dumps(found.to_json(), indent=2, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Explanation, bool], str]] = {"text": text, "json": as_json}
"""By the names that `--format` takes."""


def _sentences(found: Explanation) -> list[str]:
    case = f"{found.model} through {found.backend}"
    lines = [f"{case}: {found.verdict}" + (f", {found.reason}" if found.reason else "")]
    first, limit = found.first, f"{found.limit:g} times eager's error"
    if first is None:
        lines.append(f"no layer is beyond {limit}")
    else:
        layer = f"{first.name} ({first.kind}), {_number(first.error)} times"
        lines.append(f"the first layer beyond {limit}: {layer}")
    if not found.is_same_when_observed:
        lines.append(
            f"with the layers as outputs, the model's output is off by "
            f"{_number(found.observed_error)} instead of {_number(found.error)}: what the backend "
            "fuses is computed otherwise here"
        )
    hidden = sum(each.error is None for each in found.layers)
    if hidden:
        lines.append(
            f"{hidden} of {len(found.layers)} layers have no value of their own here: they are "
            "fused with another one"
        )
    return lines


def _table(found: Explanation, everything: bool) -> str:
    rows = [["Layer", "Kind", "Error", "Share"]]
    shown = _shown(found, everything)
    previous = -1
    for place in shown:
        if place - previous > 1:
            rows.append([f"({place - previous - 1} more)", "", "", ""])
        rows.append(_row(found.layers[place]))
        previous = place
    rest = len(found.layers) - previous - 1
    if rest:
        rows.append([f"({rest} more)", "", "", ""])
    return layout(rows)


def _shown(found: Explanation, everything: bool) -> list[int]:
    """The places of the layers to show."""
    places = range(len(found.layers))
    if everything or len(places) <= BEFORE + AFTER + LAST:
        return list(places)
    middle = next((place for place in places if found.layers[place] is found.first), 0)
    last = len(places) - LAST
    return [place for place in places if -BEFORE <= place - middle < AFTER or place >= last]


def _row(layer: LayerError) -> list[str]:
    if layer.error is None:
        return [layer.name, layer.kind, "fused", ""]
    share = "" if layer.share is None else f"{layer.share:.1e}"
    return [layer.name, layer.kind, _number(layer.error), share]


def _number(error: float | None) -> str:
    if error is None:
        return "fused"
    return "NaN" if math.isinf(error) else f"{error:.3g}"
