"""How much slower a cell may get: one tolerance for all cells, or by model and backend."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..errors import FileError, UsageError

DEFAULT = 0.05


@dataclass(frozen=True)
class Tolerances:
    """Tolerances as shares of the baseline's time.

    everywhere: the default. models, backends: by name or glob; if several match a cell, the largest
    counts.
    """

    everywhere: float = DEFAULT
    models: Mapping[str, float] = field(default_factory=dict)
    backends: Mapping[str, float] = field(default_factory=dict)

    def of(self, model: str, backend: str) -> float:
        """The tolerance of one cell."""
        given = [share for name, share in self.models.items() if fnmatchcase(model, name)]
        given += [share for name, share in self.backends.items() if fnmatchcase(backend, name)]
        return max(given, default=self.everywhere)


def parse(given: str) -> float:
    """The share in "5%" or "0.05". Raises UsageError unless it is at least 0 and below 1."""
    try:
        share = float(given.removesuffix("%")) / (100 if given.endswith("%") else 1)
    except ValueError:
        share = math.nan
    if not 0 <= share < 1:
        raise UsageError(f"'{given}' is not a tolerance; use for example 5% or 0.05")
    return share


def read(path: Path, everywhere: float | None = None) -> Tolerances:
    """Tolerances from a TOML file with `tolerance` and the tables [model] and [backend].

    everywhere: overrides the file's `tolerance`. Raises FileError for a file that cannot be read or
    contains anything else.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise FileError(f"{path} is not a TOML file: {error}") from error
    unknown = set(given) - {"tolerance", "model", "backend"}
    if unknown:
        raise FileError(f"{path}: unknown key '{min(unknown)}'; allowed: tolerance, model, backend")
    general = _share(path, "tolerance", given.get("tolerance", str(DEFAULT)))
    return Tolerances(
        general if everywhere is None else everywhere,
        _table(path, "model", given.get("model", {})),
        _table(path, "backend", given.get("backend", {})),
    )


def _table(path: Path, name: str, given: Any) -> dict[str, float]:
    if not isinstance(given, dict):
        raise FileError(f'{path}: {name} is not a table; write [{name}] and NAME = "5%" below it')
    return {key: _share(path, f"{name}.{key}", value) for key, value in given.items()}


def _share(path: Path, key: str, given: Any) -> float:
    try:
        return parse(str(given))
    except UsageError as error:
        raise FileError(f"{path}, {key}: {error}") from error
