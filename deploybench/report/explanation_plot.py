"""The curve of a deployed form's error over the layers of its model. Imports no torch."""

from __future__ import annotations

import math

from markupsafe import Markup

from ..records.explanation import Explanation
from . import numbers
from .explanation import decibels, number
from .svg import Drawing, LogAxis, log_axis

WIDTH, HEIGHT = 560, 240
START, END, TOP, BOTTOM = 52, 548, 26, 196
LEAST = 0.01
"""Smaller errors are drawn as this."""
LEAST_SHARE = 1e-4
"""The same in reduced precision."""


def of(found: Explanation) -> Markup | None:
    """The curve, with a line at the limit if there is one; None if no layer has an error."""
    sizes = _sizes(found)
    if not sizes:
        return None
    reduced = found.precision is not None
    limits = [] if reduced else [found.limit]
    finite = [size for size in sizes.values() if math.isfinite(size)]
    axis = log_axis([*limits, *finite], BOTTOM, TOP, 1.3)
    label = f"Error by layer of {found.model} through {found.backend}"
    drawing = Drawing(WIDTH, HEIGHT, label)
    unit = "error, share of the layer's values" if reduced else "error, times eager's"
    _grid(drawing, axis, len(found.layers), unit)
    for limit in limits:
        ends = [(place, axis.at(limit)) for place in (START, END)]
        drawing.line(ends[0], ends[1], "roof", f"{limit:g} times eager's error")

    def across(place: int) -> float:
        return START + (END - START) * place / max(1, len(found.layers) - 1)

    drawing.path([(across(place), axis.at(size)) for place, size in sizes.items()], "curve s0")
    for place, size in sizes.items():
        each = found.layers[place]
        if each is found.named:
            spot = across(place), axis.at(size)
            about = f"{decibels(each.sqnr_db)} dB" if reduced else f"{number(each.error)} times"
            drawing.circle(spot, 5, "dot slow", f"{each.name}: {about}")
            side = "after" if place > len(found.layers) / 2 else "before"
            beside = spot[0] + (-9 if side == "after" else 9)
            drawing.text((beside, max(spot[1] - 8, 10)), each.name, f"tick {side}", room=40)
    return drawing.markup()


def _sizes(found: Explanation) -> dict[int, float]:
    """The error of each layer that has one, by its place.

    In units of eager's; in reduced precision, the root of the mean square as a share of that of the
    layer's values, which is what the SQNR says.
    """
    layers = enumerate(found.layers)
    if found.precision is None:
        return {place: max(LEAST, each.error) for place, each in layers if each.error is not None}
    return {
        place: max(LEAST_SHARE, _share(each.sqnr_db))
        for place, each in layers
        if each.sqnr_db is not None
    }


def _share(sqnr_db: float) -> float:
    return math.inf if sqnr_db == -math.inf else 10 ** min(300.0, -sqnr_db / 20)


def _grid(drawing: Drawing, axis: LogAxis, layers: int, unit: str) -> None:
    ticks = [(axis.at(tick), tick) for tick in axis.ticks(6)]
    drawing.paths([[(START, place), (END, place)] for place, _ in ticks], "grid")
    for place, tick in ticks:
        drawing.text((START - 5, place + 4), numbers.compact(tick), "tick name")
    drawing.text((START, BOTTOM + 14), "1", "tick across")
    drawing.text((END, BOTTOM + 14), str(layers), "tick across")
    drawing.text(((START + END) / 2, BOTTOM + 31), "layer", "axis across")
    drawing.text((8, TOP - 12), unit, "axis")
