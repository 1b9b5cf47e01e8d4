"""Importable names of models, by which a child process finds its parent's model.

`torchvision:NAME` is a model of torchvision's zoo; `package.module:ATTRIBUTE` is an importable
Model, or a function that returns one. Imports no torch.
"""

from __future__ import annotations

import importlib

from ..errors import UsageError
from . import zoos
from .model import Model


def select(spec: str) -> list[Model]:
    """The models that `--models` names, each once, in the order of `spec`.

    spec: names, globs and groups of a zoo, with or without its prefix, separated by commas. Raises
    UsageError for an unknown name, a glob without a match, and an empty spec.
    """
    items = [item.strip() for item in spec.split(",") if item.strip()]
    if not items:
        raise UsageError(
            f"no model in '{spec}'; allowed: names, globs, article, all, separated by commas"
        )
    chosen: list[Model] = []
    for item in items:
        found = zoos.select(item)
        for model in zoos.DEFAULT.select(item) if found is None else found:
            if model not in chosen:
                chosen.append(model)
    return chosen


def find(reference: str) -> Model:
    """The model of that reference. Raises UsageError for an invalid one."""
    place, _, name = reference.partition(":")
    if not (place and name):
        raise UsageError(
            f"'{reference}' is not a reference to a model; use torchvision:NAME or "
            "package.module:ATTRIBUTE"
        )
    if place in zoos.ZOOS:
        return zoos.ZOOS[place].model(name)
    try:
        found = getattr(importlib.import_module(place), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"model '{reference}' cannot be imported: {error}") from error
    model = found if isinstance(found, Model) or not callable(found) else found()
    if not isinstance(model, Model):
        raise UsageError(
            f"'{reference}' is a {type(model).__name__}, not a Model; see deploybench.Model"
        )
    return model
