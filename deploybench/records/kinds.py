"""The kinds of values in a saved run: each kind checks and converts JSON. Imports no torch."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable
from typing import Any

Kind = Callable[[Any], Any]
"""Takes a value from JSON and returns the value for the record, or raises Unfit."""

# The limits of plausible values: no clock that times calls ticks more often than once a nanosecond,
# a billion seconds are over thirty years, no device calculates at 1e30 operations a second, and
# counts fit in 63 bits.
SHORTEST, LONGEST = 1e-9, 1e9
FASTEST = 1e30
LARGEST = 2**63


class Unfit(ValueError):
    """A value of the wrong kind or, if `what` is empty, a missing field.

    what: the kind that is expected. path: the field's name.
    """

    def __init__(self, value: object, what: str, path: str = "") -> None:
        self.value, self.what, self.path = value, what, path
        super().__init__(
            f"has {path} {reprlib.repr(value)}, which is not {what}; save the run again"
            if what
            else f"is not a run of deploybench (no {path}); give a run that "
            "`pytest tests/perf --benchmark-save=NAME` saved"
        )


def missing(path: str) -> Unfit:
    """The error for a missing field."""
    return Unfit(None, "", path)


def fitting(value: Any, kind: Kind, path: str) -> Any:
    """`value` converted by `kind`. The path of an Unfit begins with `path`."""
    try:
        return kind(value)
    except Unfit as error:
        inner = error.path
        dot = "" if inner.startswith("[") or not inner else "."
        raise Unfit(error.value, error.what, f"{path}{dot}{inner}") from error


def is_name(given: Any) -> bool:
    """Whether `given` can be a field of the CSV, where nothing is quoted."""
    return (
        isinstance(given, str) and given.strip() != "" and given.isprintable() and ";" not in given
    )


def is_time(given: Any) -> bool:
    """Whether `given` can be the latency of a call in seconds, as a clock measures it."""
    return _is_number(given) and SHORTEST <= given < LONGEST


def _is_number(given: Any) -> bool:
    if isinstance(given, float):
        return math.isfinite(given)
    return _is_whole(given)


def _is_whole(given: Any) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and -LARGEST < given < LARGEST


def _kind(fits: Callable[[Any], bool], what: str) -> Kind:
    def check(given: Any) -> Any:
        if not fits(given):
            raise Unfit(given, what)
        return given

    return check


number = _kind(_is_number, "a finite number")
whole = _kind(_is_whole, "a whole number")
positive = _kind(lambda given: _is_whole(given) and given > 0, "a positive whole number")
count = _kind(lambda given: _is_whole(given) and given >= 0, "a whole number of at least 0")
amount = _kind(lambda given: _is_number(given) and given >= 0, "a number of at least 0")
duration = _kind(
    lambda given: _is_number(given) and 0 <= given < LONGEST,
    "a number of at least 0 and below a billion",
)
rate = _kind(
    lambda given: _is_number(given) and (given == 0 or 1 <= given < FASTEST),
    "a rate of at least 1 a second",
)
name = _kind(is_name, "a name: printable text without ';'")
flag = _kind(lambda given: isinstance(given, bool), "true or false")
an_object = _kind(lambda given: isinstance(given, dict), "an object")
a_list = _kind(lambda given: isinstance(given, list), "a list")


def seconds(given: Any) -> Any:
    """The latency of a call in seconds."""
    if not is_time(given):
        is_short = _is_number(given) and 0 < given < SHORTEST
        raise Unfit(
            given,
            "a time in seconds: no clock is finer than a nanosecond"
            if is_short
            else "a time in seconds",
        )
    return given


def scalar(given: Any) -> Any:
    """A condition: text, a number, true, false or null."""
    if isinstance(given, str):
        return _encodable(given)
    if not (given is None or isinstance(given, bool) or _is_number(given)):
        raise Unfit(given, "text, a finite number, true, false or null")
    return given


def batch_sizes(given: Any) -> Any:
    """One batch size, or several in a text, separated by commas."""
    sizes = given.split(",") if isinstance(given, str) else []
    if not ((_is_whole(given) and given > 0) or (sizes and all(map(_is_size, sizes)))):
        raise Unfit(given, "a positive whole number, or several separated by commas")
    return given


def _is_size(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 0 < len(text) < 19 and int(text) > 0


def _encodable(given: str) -> str:
    # Unlike the reason of a failure, conditions must stay distinct.
    return given.encode(errors="backslashreplace").decode()


def text(given: Any) -> str:
    """Text that can always be printed: JSON may contain unpaired surrogates."""
    if not isinstance(given, str):
        raise Unfit(given, "text")
    return given.encode(errors="replace").decode()


def one_of(*allowed: str) -> Kind:
    """One of the `allowed` words."""
    return _kind(lambda given: given in allowed, " or ".join(map(repr, allowed)))


def or_none(kind: Kind) -> Kind:
    """A value of `kind`, or null."""
    return lambda given: None if given is None else kind(given)


def list_of(kind: Kind) -> Kind:
    """A list of values of `kind`, as a tuple."""
    return lambda given: tuple(
        fitting(each, kind, f"[{place}]") for place, each in enumerate(a_list(given))
    )


def by_name(kind: Kind) -> Kind:
    """An object with values of `kind`, as a dict."""
    return lambda given: {
        _encodable(key): fitting(each, kind, key if key.isprintable() else ascii(key))
        for key, each in an_object(given).items()
    }


OF_ANOTHER_TEST = "not of deploybench"
"""In extra_info: the mark of a test beside ours, whose parameters may have the names of ours."""


def is_of_another_test(benchmark: Any) -> bool:
    """Whether an entry of a saved run is of another test beside ours.

    It is marked, or, in an older run, has nothing that ours have.
    """
    if not isinstance(benchmark, dict) or not {"params", "extra_info"} <= benchmark.keys():
        return False
    params, info = benchmark["params"] or {}, benchmark["extra_info"]
    if not (isinstance(params, dict) and isinstance(info, dict)):
        return False
    if info.get(OF_ANOTHER_TEST) is True:
        return True
    return not {"model", "backend", "column", "column_order"} & {*params, *info}
