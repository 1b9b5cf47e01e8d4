"""The registry of backends: it finds every Backend that a file of this package defines."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from ..errors import unknown_name
from .base import Backend

SUPPORT = ("base", "session")
"""Files without a backend; files whose names begin with an underscore have none either."""


@cache
def registry() -> dict[str, type[Backend]]:
    """Every backend by name, in the order of the table's columns."""
    found: list[type[Backend]] = []
    for entry in pkgutil.iter_modules(__path__):
        if entry.name.startswith("_") or entry.name in SUPPORT:
            continue
        module = importlib.import_module(f"{__name__}.{entry.name}")
        found += [
            member
            for member in vars(module).values()
            if isinstance(member, type)
            and issubclass(member, Backend)
            and member.__module__ == module.__name__
        ]
    return {backend.name: backend for backend in sorted(found, key=lambda each: each.order)}


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
        if name not in known:
            raise unknown_name("backend", name, known, also=", all")
    return list(dict.fromkeys(names))
