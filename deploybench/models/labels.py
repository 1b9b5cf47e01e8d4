"""Class labels from a file, one in each line; the C++ program reads them by the same rules.

Imports no torch.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

from ..errors import FileError, UsageError

TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that change the order in which a terminal shows the letters after them."""


def read(given: str) -> tuple[str, ...]:
    """The lines of a file of labels, whatever its line ends, with or without a byte order mark.

    Raises FileError if it cannot be read, has no labels, an empty line before the last label, or
    control characters.
    """
    what = f"--labels '{given}'"
    try:
        text = Path(given).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise FileError(f"{what} cannot be read: {error}; give a text file") from error
    # Not splitlines, which splits at form feeds and the like: they would shift all that follow.
    found = [line.strip(" ") for line in text.rstrip(" \n").split("\n")]
    if found == [""]:
        raise FileError(f"{what} has no labels; write one in each line")
    require(found, what)
    return tuple(found)


def require(labels: Sequence[str], what: str) -> None:
    """Raise FileError for a label that is empty or could control a terminal.

    Raises UsageError for what is no list of texts, such as a dict of numbers and labels.
    """
    if not isinstance(labels, list | tuple) or not all(isinstance(each, str) for each in labels):
        raise UsageError(
            f"the {what} are a {type(labels).__name__}, not a list of texts; give one text for "
            "each class, in the order of the classes"
        )
    for number, label in enumerate(labels, start=1):
        if not str(label).strip():
            raise FileError(f"line {number} of {what} is empty; write one label in each line")
        if any(_controls(each) for each in str(label)):
            raise FileError(f"line {number} of {what} has control characters; use plain text")


def _controls(letter: str) -> bool:
    return letter in TURNING or (unicodedata.category(letter) == "Cc" and letter != "\t")


def require_count(held: int, classes: int, what: str) -> None:
    """Raise UsageError unless there is one label for each class: others would be shifted."""
    if held == classes:
        return
    remedy = (
        "remove the background label, if there is one"
        if held == classes + 1
        else "give one label for each class"
    )
    raise UsageError(f"the {what} are {held}, but the model has {classes} classes; {remedy}")
