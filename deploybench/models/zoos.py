"""The zoos: collections of models that `--models` selects from by name. Imports no torch.

A new zoo is one file with a class like Zoo, and its place in the list at the end of this file.
"""

from __future__ import annotations

from typing import Protocol

from . import timm_zoo, torchvision_families, torchvision_zoo
from .model import Model


class Zoo(Protocol):
    """A collection of models.

    prefix: what stands before the colon in `--models PREFIX:NAME`, and in the references of its
    models. A prefix alone means all models of the zoo.
    """

    prefix: str

    def select(self, spec: str) -> list[Model]:
        """The models that `spec` names: a name, a glob or "all"; those of a glob sorted by name.

        spec: what follows the prefix and the colon; it contains no comma. Raises UsageError for an
        unknown name, and if a package is missing, with the command that installs it.
        """
        ...

    def model(self, name: str) -> Model:
        """The model of that name, always the same object; its reference is `PREFIX:NAME`.

        Raises UsageError, with the nearest name, for an unknown one.
        """
        ...


DEFAULT: Zoo = torchvision_zoo.Classifiers()
"""The zoo of names without a prefix."""

ZOOS: dict[str, Zoo] = {
    zoo.prefix: zoo for zoo in (DEFAULT, *torchvision_families.FAMILIES, timm_zoo.Timm())
}
"""Every zoo by its prefix."""


def select(item: str) -> list[Model] | None:
    """The models of an item with the prefix of a zoo; None for any other item.

    A prefix with a dot in it may be followed by a dot: `torchvision.models.video.r3d_18`.
    """
    prefix, _, spec = item.partition(":")
    dotted, _, name = item.rpartition(".")
    if prefix not in ZOOS and dotted in ZOOS and "." in dotted:
        prefix, spec = dotted, name
    return ZOOS[prefix].select(spec or "all") if prefix in ZOOS else None
