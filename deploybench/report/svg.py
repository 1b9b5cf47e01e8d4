"""Draws plots as SVG that is part of an HTML page. Imports no torch.

Colours come from the page's style sheet by classes, so a plot follows its theme. There are no style
attributes, which the page's content security policy would refuse.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from markupsafe import Markup

from .visible import visible

EVERY_FIFTH = (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)
Place = tuple[float, float]


class Drawing:
    """One plot of a given size, in units that are pixels at its natural width."""

    def __init__(self, width: float, height: float, label: str, css: str = "") -> None:
        """label: what a screen reader says of it. css: more classes."""
        self._root = ElementTree.Element(
            "svg",
            {
                "class": f"plot {css}".strip(),
                "viewBox": f"0 0 {_number(width)} {_number(height)}",
                "width": _number(width),
                "height": _number(height),
                "role": "img",
                "aria-label": visible(label),
            },
        )

    def _add(self, tag: str, css: str, hint: str = "", **attributes: float | str) -> None:
        found = {
            name.replace("_", "-"): value if isinstance(value, str) else _number(value)
            for name, value in attributes.items()
        }
        if css:
            found["class"] = css
        element = ElementTree.SubElement(self._root, tag, found)
        if hint:
            ElementTree.SubElement(element, "title").text = visible(hint)

    def line(self, start: Place, end: Place, css: str, hint: str = "") -> None:
        """A straight line."""
        self._add("line", css, hint, x1=start[0], y1=start[1], x2=end[0], y2=end[1])

    def path(self, places: Iterable[Place], css: str, hint: str = "") -> None:
        """Straight lines from place to place."""
        self.paths([places], css, hint)

    def paths(self, strokes: Iterable[Iterable[Place]], css: str, hint: str = "") -> None:
        """Several such lines as one."""
        steps = ("L".join(f"{_number(x)} {_number(y)}" for x, y in each) for each in strokes)
        self._add("path", css, hint, d="".join(f"M{each}" for each in steps))

    def dots(self, places: Iterable[Place], css: str) -> None:
        """A dot at each place, by the round ends of lines without length."""
        self._add("path", css, d="".join(f"M{_number(x)} {_number(y)}h0" for x, y in places))

    def interval(self, left: float, right: float, height: float, css: str) -> None:
        """A bar from left to right with a cap at each end."""
        first, last, top = _number(left), _number(right), _number(height - 4)
        bar = f"M{first} {_number(height)}H{last}M{first} {top}v8M{last} {top}v8"
        self._add("path", css, d=bar)

    def circle(self, centre: Place, radius: float, css: str, hint: str = "") -> None:
        """A filled circle."""
        self._add("circle", css, hint, cx=centre[0], cy=centre[1], r=radius)

    def box(self, corner: Place, width: float, height: float, css: str, hint: str = "") -> None:
        """A rectangle. corner: the upper left one."""
        self._add("rect", css, hint, x=corner[0], y=corner[1], width=width, height=height)

    def text(self, place: Place, words: str, css: str = "", room: int = 0) -> None:
        """Words. room: of longer words the middle is left out; 0: never."""
        words = visible(words)
        attributes = {"x": _number(place[0]), "y": _number(place[1])}
        if css:
            attributes["class"] = css
        element = ElementTree.SubElement(self._root, "text", attributes)
        element.text = shortened(words, room) if room else words
        if element.text != words:
            ElementTree.SubElement(element, "title").text = words

    def markup(self) -> Markup:
        """The SVG, whose texts are escaped."""
        return Markup(ElementTree.tostring(self._root, encoding="unicode"))


def shortened(words: str, room: int) -> str:
    """The words in `room` characters: what is too long loses its middle."""
    if len(words) <= room:
        return words
    ahead = (room - 1) * 2 // 3
    return f"{words[:ahead]}…{words[len(words) - (room - 1 - ahead) :]}"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


@dataclass(frozen=True)
class LogAxis:
    """A logarithmic axis from `least` to `most`, drawn from `start` to `end`."""

    least: float
    most: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The place of a value; values beyond the axis are at its ends."""
        value = min(max(value, self.least), self.most)
        share = math.log(value / self.least) / math.log(self.most / self.least)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 7) -> list[float]:
        """Round values between its ends, at most about `most` of them."""
        for steps in (EVERY_FIFTH, (1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
            found = _round_values(self, steps)
            if len(found) <= most:
                break
        if len(found) >= 2:
            return found[:: math.ceil(len(found) / most)]
        return _close_values(self)


def _round_values(axis: LogAxis, steps: Sequence[float]) -> list[float]:
    decades = range(math.floor(math.log10(axis.least)), math.ceil(math.log10(axis.most)) + 1)
    values = (step * 10.0**decade for decade in decades for step in steps)
    return [value for value in values if axis.least <= value * 1.0001 and value <= axis.most]


def _close_values(axis: LogAxis) -> list[float]:
    """For an axis that spans less than a factor of about two."""
    spacing = 10.0 ** math.floor(math.log10(axis.most - axis.least))
    for factor in (0.2, 0.5, 1, 2):
        step = spacing * factor
        first, last = math.ceil(axis.least / step), math.floor(axis.most / step)
        if last - first < 6:
            break
    return [number * step for number in range(first, last + 1)]


def log_axis(values: Iterable[float], start: float, end: float, room: float = 1.08) -> LogAxis:
    """An axis that holds all `values`, with some room; from 0.5 to 2 without any."""
    known = [value for value in values if 0 < value < math.inf]
    if not known:
        return LogAxis(0.5, 2, start, end)
    return LogAxis(min(known) / room, max(known) * room, start, end)
