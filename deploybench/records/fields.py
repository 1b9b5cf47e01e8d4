"""Dataclasses whose fields define how they are stored in JSON and read back. Imports no torch."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..errors import FileError
from .kinds import Kind, Unfit, an_object, fitting, missing


@contextmanager
def refused(place: str) -> Iterator[None]:
    """A context in which an Unfit becomes a FileError that begins with `place`."""
    try:
        yield
    except Unfit as error:
        raise FileError(f"{place} {error}") from error


def parsed(text: str) -> Any:
    """The JSON in `text`. Raises ValueError or RecursionError if it is damaged.

    A key that an object has twice is refused, because one of its values would be lost in silence.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"{twice!a} is twice in one object")
        return found

    text.encode()  # raises for bytes that are not UTF-8, which reading.py has kept as surrogates
    return json.loads(text, object_pairs_hook=unique)


def required(content: Any, path: str, kind: Kind) -> Any:
    """The value of `content` under `path`, for example "stats.data"."""
    found = content
    for key in path.split("."):
        if not isinstance(found, dict) or key not in found:
            raise missing(path)
        found = found[key]
    return fitting(found, kind, path)


def optional(content: Mapping[str, Any], key: str, kind: Kind, default: Any = None) -> Any:
    """The value of `content` under `key`; `default` if it is absent or null."""
    return default if content.get(key) is None else fitting(content[key], kind, key)


def stored(kind: Kind, default: Any = dataclasses.MISSING, key: str | None = None) -> Any:
    """A dataclass field that is stored in JSON under its own name, or under `key`.

    kind: its type. default: the value for older runs that lack the field, or dict for an empty one;
    leave it out if every run has the field. Null is accepted only where the default is None.
    """
    given = {"default_factory": dict} if default is dict else {"default": default}
    return dataclasses.field(**given, metadata={"kind": kind, "key": key})


def stored_fields(record: type, content: Any) -> dict[str, Any]:
    """The values of a dataclass's stored fields, by name; fields absent from JSON are left out.

    Raises Unfit for a value of the wrong kind and for a missing field that has no default.
    """
    found = {}
    for key, each in _stored(record):
        has_default = not each.default is each.default_factory is dataclasses.MISSING
        is_default = key not in content or (content[key] is None and each.default is None)
        if not (has_default and is_default):
            found[each.name] = required(content, key, each.metadata["kind"])
    return found


def as_json(record: Any) -> dict[str, Any]:
    """The stored fields of a record as JSON: the inverse of `stored_fields`."""
    return {key: _plain(getattr(record, each.name)) for key, each in _stored(type(record))}


def object_of(record: type) -> Kind:
    """The kind of a JSON object that is read as the dataclass `record`."""
    return lambda given: record(**stored_fields(record, an_object(given)))


def _stored(record: type) -> list[tuple[str, dataclasses.Field[Any]]]:
    return [
        (each.metadata["key"] or each.name, each)
        for each in dataclasses.fields(record)
        if "kind" in each.metadata
    ]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return as_json(value)
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return dict(value) if isinstance(value, Mapping) else value
