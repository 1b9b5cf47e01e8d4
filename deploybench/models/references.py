"""References to models: what `--models` names, and how a child process finds its parent's model.

`torchvision:NAME` is a model of a zoo, and so is `PREFIX:NAME` of any other one (zoos.py);
`MODULE:NAME` and `FILE.py:NAME` are a user's own (own.py). The reference of a selected model is an
item that selects it again. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UsageError
from . import own, user_modules, zoos
from .model import Model
from .own import Given


def select(spec: str, given: Given | None = None) -> list[Model]:
    """The models that `--models` names, each once, in the order of `spec`.

    spec: separated by commas, names, globs and groups of a zoo, with or without its prefix, and
    files, modules and names in them. given: the input and more of callables. Raises UsageError for
    an unknown name, a glob without a match, two models of one name, and an empty spec.
    """
    items = [item.strip() for item in spec.split(",") if item.strip()]
    if not items:
        raise UsageError(
            f"no model in '{spec}'; allowed: names, globs, article, all, separated by commas"
        )
    chosen: list[Model] = []
    for item in items:
        chosen += [model for model in _item(item, given or Given()) if model not in chosen]
    return distinct(chosen)


def distinct(models: Sequence[Model]) -> list[Model]:
    """The same models; raises UsageError if two of them have one name."""
    by_name: dict[str, Model] = {}
    for model in models:
        other = by_name.setdefault(model.name, model)
        if other != model:
            both = " and ".join(filter(None, map(shown, (other, model))))
            raise UsageError(
                f"two models of this run are named '{model.name}' ({both}); give one another name"
            )
    return list(models)


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
    found = own.select(reference, Given())
    if not found or len(found) != 1:
        raise UsageError(
            f"'{reference}' names {len(found or ())} models, not one; see deploybench.Model"
        )
    return found[0]


def shown(model: Model) -> str:
    """The item of `--models` that names a model, or the list that it is in; "" for none."""
    if model.reference is None:
        return ""
    item = model.reference.partition("?")[0]
    return item.removeprefix(f"{zoos.DEFAULT.prefix}:")


def _item(item: str, given: Given) -> list[Model]:
    found = zoos.select(item)
    if found is None:
        found = own.select(item, given)
    if found is not None:
        return found
    try:
        return zoos.DEFAULT.select(item)
    except UsageError:
        if user_modules.is_module(item, given.folder):
            return own.of_module(item, given)
        raise
