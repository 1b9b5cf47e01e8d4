"""The order of the generated tests: all cases of a model together, whoever reordered them."""

from __future__ import annotations

import pytest

Key = tuple[object, ...]


def keep_together(items: list[pytest.Item]) -> None:
    """Move the cases of one test, model and batch size together, to where the first of them is.

    A plugin such as pytest-randomly shuffles tests; each change of model would then prepare, and
    time, the model again. Other tests, and the order of the groups, stay as they are.
    """
    groups: dict[Key, list[pytest.Item]] = {}
    for item in items:
        groups.setdefault(_key(item), []).append(item)
    items[:] = [item for group in groups.values() for item in group]


def _key(item: pytest.Item) -> Key:
    """What the cases of a group have in common; a test that is no case is a group of its own."""
    if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
        given = item.callspec.params
        if {"model", "backend"} <= given.keys() and "batch_size" in item.fixturenames:
            return item.path, item.cls, item.originalname, given["model"], given.get("batch_size")
    return (item,)
