"""The options that `[tool.deploybench]` in a pyproject.toml sets. Imports no torch.

Their keys are the names of the command line's options, with hyphens or underscores. Values are
texts, numbers, true and false, or lists, as the option takes them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import options
from .errors import UsageError, unknown_name
from .models import weights

KEEP_ARTIFACTS = "keep_artifacts"


@dataclass(frozen=True)
class Project:
    """The options of a project.

    folder: of the pyproject.toml; paths are relative to it. texts: options as the command line
    takes them, by key. flags: by key.
    """

    folder: Path = Path()
    texts: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, bool] = field(default_factory=dict)


def find(folders: Iterable[Path]) -> Project:
    """The options of the nearest pyproject.toml that has some, in one of `folders` or above it.

    The first folder with one counts. Raises UsageError for an unknown key and a wrong value.
    """
    for folder in folders:
        for place in (folder.absolute(), *folder.absolute().parents):
            path = place / "pyproject.toml"
            if path.is_file() and (table := _table(path)) is not None:
                return read(table, path)
    return Project()


def _table(path: Path) -> Any:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"'{path}' cannot be read: {error}; mend it") from error
    return document.get("tool", {}).get("deploybench")


def read(table: Any, path: Path) -> Project:
    """The options of the table [tool.deploybench] of the file `path`."""
    place = f"[tool.deploybench] in '{path}'"
    if not isinstance(table, dict):
        raise UsageError(f"{place} is not a table; write keys and values below it")
    known = {option.key for option in (*options.ALL, *options.OF_CALLABLES, *options.OF_A_RUN)}
    texts: dict[str, str] = {}
    flags: dict[str, bool] = {}
    for given, value in table.items():
        key = given.replace("-", "_")
        if key in options.FLAGS:
            if not isinstance(value, bool):
                raise UsageError(f"{place}: {given} = {value!r} is not true or false")
            flags[key] = value
        elif key in known or key == KEEP_ARTIFACTS:
            texts[key] = _text(value, f"{place}: {given}")
        else:
            error = unknown_name("option", given, (*known, *options.FLAGS, KEEP_ARTIFACTS))
            raise UsageError(f"{place}: {error}")
    for key, in_folder in PATHS.items():
        if key in texts:
            texts[key] = in_folder(texts[key], path.parent)
    return Project(path.parent, texts, flags)


def _text(value: Any, place: str) -> str:
    """A value as the command line takes it; those of a list are separated by commas."""
    values = value if isinstance(value, list) else [value]
    # Python counts true and false as whole numbers.
    if not all(isinstance(each, str | int) and not isinstance(each, bool) for each in values):
        raise UsageError(f"{place} = {value!r} is not a text, a whole number or a list of them")
    return ",".join(map(str, values))


def _path(text: str, folder: Path) -> str:
    return text if folder == Path.cwd() else str(folder / text)


def _weights(text: str, folder: Path) -> str:
    return text if text in weights.WORDS else _path(text, folder)


PATHS: dict[str, Callable[[str, Path], str]] = {
    "labels": _path,
    "images": _path,
    "weights": _weights,
    KEEP_ARTIFACTS: _path,
}
"""The options that are paths, and how they are made relative to the project's folder."""
