"""Globs over the names of a zoo. Imports no torch."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Sequence

from ..errors import UsageError


def is_glob(text: str) -> bool:
    """Whether `text` is a glob, not a name."""
    return any(character in text for character in "*?[")


def chosen(spec: str, names: Sequence[str], refusal: Callable[[str], str]) -> list[str]:
    """The names that a name, a glob or "all" means; a name need not be one of `names`.

    refusal: as for `matching`.
    """
    if not is_glob(spec):
        return list(names) if spec == "all" else [spec]
    return matching(spec, names, refusal)


def matching(glob: str, names: Sequence[str], refusal: Callable[[str], str]) -> list[str]:
    """The names that `glob` matches, in their order.

    refusal: makes the message of the UsageError, raised if there is none, from the nearest name.
    """
    matched = fnmatch.filter(names, glob)
    if not matched:
        raise UsageError(refusal(difflib.get_close_matches(glob.strip("*?"), names, 1, 0.0)[0]))
    return matched
