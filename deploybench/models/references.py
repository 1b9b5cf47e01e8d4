"""Importable names of models, by which a child process finds its parent's model.

`torchvision:NAME` is a model of torchvision's zoo; `package.module:ATTRIBUTE` is an importable
Model, or a function that returns one. Imports no torch.
"""

from __future__ import annotations

import importlib

from ..errors import UsageError
from . import torchvision_zoo
from .model import Model


def select(spec: str) -> list[Model]:
    """The models that `--models` names, each once; see torchvision_zoo.select."""
    return [torchvision_zoo.model(name) for name in torchvision_zoo.select(spec)]


def find(reference: str) -> Model:
    """The model of that reference. Raises UsageError for an invalid one."""
    place, _, name = reference.partition(":")
    if not (place and name):
        raise UsageError(
            f"'{reference}' is not a reference to a model; use torchvision:NAME or "
            "package.module:ATTRIBUTE"
        )
    if place == torchvision_zoo.ZOO:
        return torchvision_zoo.model(name)
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
