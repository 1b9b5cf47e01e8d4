"""The grid of a sweep: options of `bench`, several values of which make several jobs."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import FileError, UsageError, nearest
from .job import Job

MODELS, REPEATS = "models", "repeats"
TOGETHER = ("backends",)
"""Several values of these are measured by one job, interleaved."""


@dataclass(frozen=True)
class Grid:
    """Options of `bench` by name, each with its values.

    Options with several values are varied, but for `models`, each of which has jobs of its own, and
    those in TOGETHER. repeats: how often each model is measured under each condition.
    """

    options: Mapping[str, tuple[str, ...]]
    repeats: int = 1

    @property
    def models(self) -> str:
        """The models as for `--models`; the default ones if the grid names none."""
        return ",".join(self.options.get(MODELS, ("article",)))

    def jobs(self, models: Mapping[str, str], passed: Sequence[str] = ()) -> list[Job]:
        """Every job. models: what selects each model, by name. passed: further words for `bench`.

        The order is that of repeats, then conditions, then models: a sweep that is stopped has
        whole tables, and the runs of a cell lie far apart, so that drift shows between them.
        """
        shared, varied = [], []
        for name, values in self.options.items():
            if name == MODELS:
                continue
            if name in TOGETHER or len(values) == 1:
                shared.append((name, ",".join(values)))
            else:
                varied.append([(name, value) for value in values])
        return [
            Job(
                model,
                reference,
                tuple(sorted(condition)),
                tuple(sorted(shared)),
                repeat,
                tuple(passed),
            )
            for repeat in range(1, self.repeats + 1)
            for condition in itertools.product(*varied)
            for model, reference in models.items()
        ]


def content(path: Path) -> dict[str, Any]:
    """What a TOML file of a grid has. Raises FileError if it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileError(f"grid '{path}' cannot be read: {error}; give a TOML file") from error


def of(given: Mapping[str, Any], names: Sequence[str], flags: Sequence[str] = ()) -> Grid:
    """The grid of options by name, each a value or a list of values.

    names: of the options. flags: of those that are true or false. Raises UsageError.
    """
    grid = {}
    for name, values in given.items():
        if name == REPEATS:
            continue
        if name not in (*names, *flags):
            known = nearest(name, [*names, *flags, REPEATS])
            raise UsageError(f"the grid has an unknown option '{name}'{known}; see bench --help")
        grid[name] = _values(name, values, bool if name in flags else (str, int, float))
    repeats = given.get(REPEATS, 1)
    if not isinstance(repeats, int) or isinstance(repeats, bool) or repeats < 1:
        raise UsageError(f"{REPEATS} is {repeats!r}, not a positive whole number; give 1 or more")
    return Grid(grid, repeats)


def _values(name: str, given: Any, kinds: Any) -> tuple[str, ...]:
    values = given if isinstance(given, list) else [given]
    if not values:
        raise UsageError(f"{name} has no values; give at least one, or leave it out")
    for value in values:
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            wanted = "true or false" if kinds is bool else "text or numbers"
            raise UsageError(f"{name} has the value {value!r}; give {wanted}")
    texts = (str(value).lower() if kinds is bool else str(value) for value in values)
    return tuple(dict.fromkeys(texts))
