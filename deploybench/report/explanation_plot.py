"""The curve of a deployed form's error over the layers of its model. Imports no torch."""

from __future__ import annotations

import math

from markupsafe import Markup

from ..records.explanation import Explanation
from . import numbers
from .explanation import number
from .svg import Drawing, LogAxis, log_axis

WIDTH, HEIGHT = 560, 240
START, END, TOP, BOTTOM = 52, 548, 26, 196
LEAST = 0.01
"""Smaller errors are drawn as this."""


def of(found: Explanation) -> Markup | None:
    """The curve, with a line at the limit; None if no layer has an error."""
    known = [(place, each) for place, each in enumerate(found.layers) if each.error is not None]
    if not known:
        return None
    errors = {place: max(LEAST, each.error or 0.0) for place, each in known}
    finite = [error for error in errors.values() if math.isfinite(error)]
    axis = log_axis([found.limit, *finite], BOTTOM, TOP, 1.3)
    label = f"Error by layer of {found.model} through {found.backend}"
    drawing = Drawing(WIDTH, HEIGHT, label)
    _grid(drawing, axis, len(found.layers))
    limit = axis.at(found.limit)
    drawing.line((START, limit), (END, limit), "roof", f"{found.limit:g} times eager's error")

    def across(place: int) -> float:
        return START + (END - START) * place / max(1, len(found.layers) - 1)

    drawing.path([(across(place), axis.at(error)) for place, error in errors.items()], "curve s0")
    for place, each in known:
        if each is found.first:
            spot = across(place), axis.at(errors[place])
            drawing.circle(spot, 5, "dot slow", f"{each.name}: {number(each.error)} times")
            side = "after" if place > len(found.layers) / 2 else "before"
            beside = spot[0] + (-9 if side == "after" else 9)
            drawing.text((beside, max(spot[1] - 8, 10)), each.name, f"tick {side}", room=40)
    return drawing.markup()


def _grid(drawing: Drawing, axis: LogAxis, layers: int) -> None:
    ticks = [(axis.at(tick), tick) for tick in axis.ticks(6)]
    drawing.paths([[(START, place), (END, place)] for place, _ in ticks], "grid")
    for place, tick in ticks:
        drawing.text((START - 5, place + 4), numbers.compact(tick), "tick name")
    drawing.text((START, BOTTOM + 14), "1", "tick across")
    drawing.text((END, BOTTOM + 14), str(layers), "tick across")
    drawing.text(((START + END) / 2, BOTTOM + 31), "layer", "axis across")
    drawing.text((8, TOP - 12), "error, times eager's", "axis")
