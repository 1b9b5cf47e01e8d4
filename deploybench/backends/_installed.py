"""Backends that other packages bring, by the entry point group `deploybench.backends`.

An entry point names a Backend class, or a module with some. One that cannot be used is left out
with a line that says why, so that the others still work.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from importlib import metadata
from types import ModuleType

from .base import Backend

GROUP = "deploybench.backends"
NAME = re.compile(r"\w[\w-]*", re.ASCII)
RESERVED = ("all",)


def defined_in(module: ModuleType) -> list[type[Backend]]:
    """The backends whose classes a module defines, and not those that it imports."""
    return [
        member
        for member in vars(module).values()
        if isinstance(member, type)
        and issubclass(member, Backend)
        and member.__module__ == module.__name__
        and not inspect.isabstract(member)
    ]


def installed(
    known: Iterable[type[Backend]],
) -> tuple[list[type[Backend]], Mapping[str, str]]:
    """The backends of other packages, and why each entry point that is left out cannot be used.

    known: the backends whose names and titles are taken.
    """
    found: list[type[Backend]] = []
    problems: dict[str, str] = {}
    # In an order that does not depend on which package was installed first.
    points = metadata.entry_points(group=GROUP)
    for point in sorted(points, key=lambda each: (each.name, each.value)):
        package = point.dist.name if point.dist else point.value
        try:
            usable = _usable(point, [*known, *found])
        except Exception as error:  # whatever the import of another package raises
            reason = str(error).strip().splitlines()
            problems[point.name] = (
                f"the backend {point.name} of the package {package} cannot be used: "
                f"{type(error).__name__}: {reason[0] if reason else 'no message'}; mend it, or "
                f"pip uninstall {package}"
            )
        else:
            found += usable
    return found, problems


def _usable(point: metadata.EntryPoint, known: Iterable[type[Backend]]) -> list[type[Backend]]:
    """The backends of an entry point. Raises an error if one of them cannot be used."""
    loaded = point.load()
    classes = defined_in(loaded) if isinstance(loaded, ModuleType) else [loaded]
    if not classes:
        raise ValueError(f"{point.value} defines no complete Backend; see docs/write-a-backend.md")
    names = {each.name for each in known}
    titles = {each.title for each in known}
    for each in classes:
        if not (isinstance(each, type) and issubclass(each, Backend)):
            raise TypeError(f"{point.value} is not a Backend class, nor a module with one")
        if inspect.isabstract(each):
            lacking = ", ".join(sorted(each.__abstractmethods__))
            raise TypeError(f"{each.__name__} does not define {lacking}")
        missing = [field for field in ("name", "title", "order") if not hasattr(each, field)]
        if missing:
            raise AttributeError(f"{each.__name__} has no {', '.join(missing)}")
        if not NAME.fullmatch(each.name) or each.name in RESERVED:
            raise ValueError(f"'{each.name}' is not a name for a backend; use letters, digits, - _")
        if each.name in names or each.title in titles:
            raise ValueError(f"there is another backend named {each.name} or titled {each.title}")
        names.add(each.name)
        titles.add(each.title)
    return classes
