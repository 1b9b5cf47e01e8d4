"""Figures as text, for pages. Imports no torch."""

from __future__ import annotations

import math

from ..analysis.speedup import HOLDS_ONE, Speedup

WIDEST = 1000
NONE = "\u2013"
"""Stands for a figure that is not known."""


def significant(value: float | None, digits: int = 3) -> str:
    """The value with that many significant digits, never with an exponent."""
    if value is None or not math.isfinite(value):
        return NONE if value is None else str(value)
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(places, 9)}f}".replace(",", "\u2009")


def compact(value: float) -> str:
    """A round value, such as that of a tick: 0.5, 2, 10k, 5M, 2G."""
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= limit:
            scale = 1e3 if unit == "k" else limit
            return f"{value / scale:g}{unit}"
    return f"{float(f'{value:.4g}'):g}"


def interval(speedup: Speedup | None) -> str:
    """The bounds of a speed-up's interval."""
    if speedup is None or speedup.low is None or speedup.high is None:
        return "no interval"
    for digits in (3, 4, 5):
        low, high = (_bound(bound, digits) for bound in (speedup.low, speedup.high))
        if low != high:
            break
    return f"{low} to {high}"


def _bound(value: float, digits: int) -> str:
    if value > WIDEST:
        return f">{WIDEST}"
    return f"<{1 / WIDEST}" if value < 1 / WIDEST else significant(value, digits)


def times(speedup: Speedup | None) -> str:
    """A speed-up with a cross; marked if it is not significant, or not of a proven answer."""
    if speedup is None:
        return NONE
    even = f" {HOLDS_ONE}" if speedup.holds_one else ""
    return f"{significant(speedup.ratio)}\u00d7{even}{speedup.unproven}"


def change(logarithm: float) -> str:
    """A change of time as a percentage."""
    if math.isinf(logarithm):
        return "not known"
    return f"{math.expm1(logarithm):+.1%}" if logarithm < math.log(10) else "over +900%"


def seconds(value: float | None) -> str:
    """Seconds in a readable unit."""
    if value is None:
        return NONE
    if value >= 1:
        return f"{significant(value)} s"
    return f"{significant(value * 1e3)} ms"


def mebibytes(value: float | None) -> str:
    """Bytes in MiB."""
    return NONE if value is None else f"{value / 2**20:.1f}"


def setting(value: object) -> str:
    """A value of a fingerprint."""
    words = {None: "none", True: "yes", False: "no"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def milliseconds(value: float | None) -> str:
    """Milliseconds in a readable unit."""
    return seconds(None if value is None else value / 1e3)
