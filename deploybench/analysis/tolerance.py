"""How much slower a cell may be before it counts: one share for all, or by model and backend."""

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
    """Shares of the baseline's time.

    everywhere: where nothing else is said. models, backends: by name or glob; where both speak of a
    cell, the larger counts.
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
    """A share from "5%" or "0.05". Raises UsageError for what is none from 0 to 1."""
    try:
        share = float(given.removesuffix("%")) / (100 if given.endswith("%") else 1)
    except ValueError:
        share = math.nan
    if not 0 <= share < 1:
        raise UsageError(f"tolerance '{given}' is none: give a share such as 5% or 0.05")
    return share


def read(path: Path, everywhere: float | None = None) -> Tolerances:
    """Tolerances from a TOML file: `tolerance`, and tables [model] and [backend] of names.

    everywhere: what was given beside the file, which then counts for its `tolerance`. Raises
    FileError for a file that cannot be read or holds anything else.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise FileError(f"{path} is no TOML file: {error}") from error
    unknown = set(given) - {"tolerance", "model", "backend"}
    if unknown:
        raise FileError(f"{path}: unknown key '{min(unknown)}': allowed: tolerance, model, backend")
    general = _share(path, "tolerance", given.get("tolerance", str(DEFAULT)))
    return Tolerances(
        general if everywhere is None else everywhere,
        _table(path, "model", given.get("model", {})),
        _table(path, "backend", given.get("backend", {})),
    )


def _table(path: Path, name: str, given: Any) -> dict[str, float]:
    if not isinstance(given, dict):
        raise FileError(f'{path}: {name} is no table; write [{name}] and NAME = "5%" below it')
    return {key: _share(path, f"{name}.{key}", value) for key, value in given.items()}


def _share(path: Path, key: str, given: Any) -> float:
    try:
        return parse(str(given))
    except UsageError as error:
        raise FileError(f"{path}, {key}: {error}") from error
