"""Imports a user's modules and files, with errors of one line. Imports no torch itself."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import pkgutil
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

from ..errors import DeploybenchError, UsageError, first_line, nearest
from . import zoos
from .model import Model


@dataclass(frozen=True)
class Origin:
    """How another process finds a module again. place: its name or path. path: its folder."""

    place: str
    path: str | None

    def reference(self, attribute: str, **query: str | None) -> str:
        """The reference of a name in the module; query: what else must be known."""
        said = {key: value for key, value in {**query, "path": self.path}.items() if value}
        return f"{self.place}:{attribute}" + (f"?{urlencode(said)}" if said else "")


def open_module(place: str, folder: Path) -> tuple[ModuleType, Origin]:
    """The module or file of that name; relative to `folder`, if it is not installed."""
    if place.endswith(".py"):
        path = (folder / place).resolve()
        return _load_file(path, place), Origin(str(path), None)
    if str(folder) not in sys.path:
        # First, as `python -m` has the current folder.
        sys.path.insert(0, str(folder))
    return _import(place, folder), Origin(place, str(folder))


def is_module(name: str, folder: Path) -> bool:
    """Whether `name`, without a dot, is a module that may contain models."""
    if not name.isidentifier() or name in sys.stdlib_module_names:
        return False
    local = (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()
    return local or importlib.util.find_spec(name) is not None


def _load_file(path: Path, given: str) -> ModuleType:
    if not path.is_file():
        there = [each.name for each in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise UsageError(f"no file '{given}'{nearest(path.name, there)}; give the path of one")
    name = _module_name(path)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    if str(path.parent) not in sys.path:
        # So that it finds its neighbours, as a program does.
        sys.path.insert(0, str(path.parent))
    # Before it runs: dataclasses look their module up.
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        with one_line(f"'{given}' cannot be imported"):
            spec.loader.exec_module(module)
    except UsageError:
        del sys.modules[name]
        raise
    return module


def _module_name(path: Path) -> str:
    """A name that no other file has. TorchScript writes it into its files, and reads only ASCII."""
    readable = re.sub(r"\W", "_", path.stem, flags=re.ASCII)
    return f"deploybench_file_{readable}_{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}"


def _import(place: str, folder: Path) -> ModuleType:
    try:
        with one_line(f"'{place}' cannot be imported"):
            return importlib.import_module(place)
    except UsageError as error:
        missing = error.__cause__
        name = missing.name if isinstance(missing, ModuleNotFoundError) else None
        if name and f"{place}.".startswith(f"{name}."):
            raise UsageError(_not_found(place, name, folder)) from None
        raise


def _not_found(place: str, missing: str, folder: Path) -> str:
    """The line for a module that does not exist, with the nearest one that does."""
    parent, _, _ = missing.rpartition(".")
    if parent:
        paths = [str(path) for path in getattr(sys.modules.get(parent), "__path__", [])]
        known = [f"{parent}.{each.name}" for each in pkgutil.iter_modules(paths)]
    else:
        known = [*zoos.ZOOS, *(each.name for each in pkgutil.iter_modules([str(folder)]))]
    return (
        f"'{place}' is not a model: there is no module or zoo '{missing}'"
        f"{nearest(missing, known)}; give MODULE:NAME of an importable module, FILE.py:NAME, or a "
        "name of a zoo"
    )


@contextmanager
def one_line(what: str) -> Iterator[None]:
    """A context in which the user's code runs: errors get one line, and prints go to stderr."""
    try:
        with redirect_stdout(sys.stderr):
            yield
    except DeploybenchError as error:
        raise UsageError(f"{what}: {error}") from error
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
        if isinstance(error, ModuleNotFoundError) and error.name:
            place += f"; install {error.name.partition('.')[0]} or mend the import"
        raise UsageError(f"{what}: {first_line(error)}{place}") from error


def attribute(module: ModuleType, place: str, name: str) -> Any:
    """What the module has under that name. place: of the module, as the user gave it."""
    if hasattr(module, name):
        return getattr(module, name)
    known = [key for key, value in vars(module).items() if _may_be_meant(key, value)]
    listed = f"; it has {', '.join(known)}" if 0 < len(known) <= 20 else ""
    raise UsageError(f"'{place}' has no '{name}'{nearest(name, known)}{listed}")


def _may_be_meant(key: str, value: Any) -> bool:
    usable = callable(value) or isinstance(value, Model | list | tuple)
    return usable and not key.startswith("_")
