"""A user's own models: those of a Python file, of a module, or behind one of its names.

Imports no torch; what it imports for the user may.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

from ..errors import UsageError
from . import zoos
from .model import Inputs, Model
from .shapes import format_shapes, parse_shapes
from .user_modules import Origin, attribute, one_line, open_module

MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class Given:
    """What a callable that builds a module does not say itself.

    inputs: its shapes; see Model. task, labels: see Model; None for the defaults. folder: where
    files and modules are looked for.
    """

    inputs: Inputs | None = None
    task: str | None = None
    labels: tuple[str, ...] | None = None
    folder: Path = Path()


def select(item: str, given: Given) -> list[Model] | None:
    """The models of `FILE.py`, `FILE.py:NAME`, `MODULE` or `MODULE:NAME`; None for other items.

    NAME is a Model, a list of them, or a callable without arguments that returns a module or a
    Model. Raises UsageError for what cannot be found or imported.
    """
    query: dict[str, str] = {}
    if re.search(r"\?\w+=", item):
        item, _, text = item.partition("?")
        query = dict(parse_qsl(text))
    place, _, name = item.partition(":")
    is_module = MODULE.fullmatch(place) and (name or "." in place)
    if not (place.endswith(".py") or is_module):
        return None
    folder = Path(query["path"]) if "path" in query else given.folder.absolute()
    if "input" in query:
        inputs, task = parse_shapes(query["input"]), query.get("task")
        given = replace(given, inputs=inputs, task=task)
    module, origin = open_module(place, folder)
    if not name:
        return _all_of(module, origin)
    found = _models(attribute(module, place, name), _Source(name, item, origin), given)
    wanted = query.get("name")
    return [model for model in found if wanted in (None, model.name)]


def of_module(name: str, given: Given) -> list[Model]:
    """All models of the module of that name."""
    return _all_of(*open_module(name, given.folder.absolute()))


def is_of_callable(model: Model) -> bool:
    """Whether a selected model is a callable's, so that its input was given beside it."""
    return "input" in _query(model)


def said_of_callables(models: Sequence[Model]) -> dict[str, str]:
    """The input and the task that the references of callables have, if all have the same."""
    queries = [query for query in map(_query, models) if "input" in query]
    found = {key: {query.get(key) for query in queries} for key in ("input", "task")}
    return {key: text for key, texts in found.items() if len(texts) == 1 for text in texts if text}


def _query(model: Model) -> dict[str, str]:
    return dict(parse_qsl((model.reference or "").partition("?")[2]))


@dataclass(frozen=True)
class _Source:
    """A name in a module. item: as the user wrote it."""

    name: str
    item: str
    origin: Origin


def _all_of(module: ModuleType, origin: Origin) -> list[Model]:
    """All Models, and those in lists, at the top of a module.

    One that is there by several names, such as a list with the others, is taken by the first.
    """
    found: list[Model] = []
    seen: set[int] = set()
    for name, value in vars(module).items():
        if isinstance(value, Model) or _is_list(value):
            own = [value] if isinstance(value, Model) else value
            named = zip(own, _models(value, _Source(name, name, origin), Given()), strict=True)
            found += [model for made, model in named if id(made) not in seen]
            seen |= set(map(id, own))
    if not found:
        raise UsageError(
            f"'{origin.place}' has no Model at its top; define one, or name a callable as "
            f"{origin.place}:NAME with --input"
        )
    return found


def _models(found: Any, source: _Source, given: Given) -> list[Model]:
    """The models of a value of a module."""
    if isinstance(found, Model):
        return [_referenced(found, source.origin.reference(source.name))]
    if _is_list(found):
        reference = source.origin.reference
        return [_referenced(each, reference(source.name, name=each.name)) for each in found]
    if not callable(found):
        raise UsageError(
            f"'{source.item}' is a {type(found).__name__}; name a Model, a list of Models, or a "
            "callable without arguments that returns a module"
        )
    return _from_callable(found, source, given)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and {Model} == {
        Model if isinstance(each, Model) else object for each in value
    }


def _referenced(model: Model, reference: str) -> Model:
    place = (model.reference or "").partition(":")[0]
    return model if place in zoos.ZOOS else replace(model, reference=reference)


def _from_callable(build: Callable[[], Any], source: _Source, given: Given) -> list[Model]:
    """The model that a callable builds, or the Model or Models that it returns."""
    item = source.item
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(build, torch.nn.Module):
        raise UsageError(
            f"'{item}' is a module that is already built; name its class, or a function that "
            "returns a new one"
        )
    if required := _required(build):
        raise UsageError(
            f"'{item}' needs arguments ({', '.join(required)}); name a callable that takes none, "
            "for example a function that calls it"
        )
    if given.inputs is not None and not _says_model(build):
        return [_of_callable(build, source, given)]
    with one_line(f"'{item}' raises an error when it is called"):
        made = build()
    if isinstance(made, Model | list | tuple):
        return _models(made, source, given)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(made, torch.nn.Module):
        if given.inputs is not None:  # its class is called Model too
            return [_of_callable(build, source, given)]
        raise UsageError(
            f"'{item}' returns a module without saying what its input is; add its shape without "
            "the batch dimension, for example --input 3x224x224"
        )
    raise UsageError(
        f"'{item}' returns a {type(made).__name__}, not a torch.nn.Module; return the module"
    )


def _of_callable(build: Callable[[], Any], source: _Source, given: Given) -> Model:
    assert given.inputs is not None
    return Model(
        source.name,
        build=build,
        inputs=given.inputs,
        task=given.task or "classification",
        labels=given.labels,
        reference=source.origin.reference(
            source.name, input=format_shapes(given.inputs), task=given.task
        ),
    )


def _required(build: Callable[[], Any]) -> list[str]:
    """The names of the arguments that a callable cannot do without."""
    try:
        parameters = inspect.signature(build).parameters.values()
    except (TypeError, ValueError):  # some callables written in C do not tell
        return []
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        each.name for each in parameters if each.default is each.empty and each.kind not in optional
    ]


def _says_model(build: Callable[[], Any]) -> bool:
    said = getattr(build, "__annotations__", {}).get("return")
    return said is not None and "Model" in re.findall(r"\w+", getattr(said, "__name__", str(said)))
