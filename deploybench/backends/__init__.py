"""The registry of backends: those that files of this package define, and those of other packages.

A backend here is found because its file is there, one of another package by its entry point.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Mapping
from functools import cache

from ..errors import UsageError, unknown_name
from ._installed import defined_in, installed
from .base import Backend

SUPPORT = ("base", "session")
"""Files without a backend; files whose names begin with an underscore have none either."""


@cache
def registry() -> dict[str, type[Backend]]:
    """Every backend by name, in the order of the table's columns.

    What another package brings and cannot be used is named on standard error, once.
    """
    found, problems = _found()
    for problem in problems.values():
        print(f"deploybench: {problem}", file=sys.stderr)
    # Other packages cannot know each other's orders.
    return {each.name: each for each in sorted(found, key=lambda each: (each.order, each.name))}


def _found() -> tuple[list[type[Backend]], Mapping[str, str]]:
    """Every backend, and why the entry points of the others cannot be used, by their names."""
    found: list[type[Backend]] = []
    for entry in pkgutil.iter_modules(__path__):
        if entry.name.startswith("_") or entry.name in SUPPORT:
            continue
        found += defined_in(importlib.import_module(f"{__name__}.{entry.name}"))
    others, problems = installed(found)
    return [*found, *others], problems


def default_names() -> list[str]:
    """The backends that are measured by default."""
    return [name for name, backend in registry().items() if backend.default]


def select(spec: str) -> list[str]:
    """The names in `spec`, separated by commas, or every backend for "all".

    Raises UsageError for a name that is not in the registry.
    """
    known = registry()
    if spec.strip() == "all":
        return list(known)
    names = [name.strip() for name in spec.split(",") if name.strip()]
    for name in names or [spec]:
        if problem := _found()[1].get(name):
            raise UsageError(problem)
        if name not in known:
            raise unknown_name("backend", name, known, also=", all")
    return list(dict.fromkeys(names))
