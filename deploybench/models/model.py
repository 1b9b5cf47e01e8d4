"""Model: the object that a run passes around, also to child processes. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DeploybenchError, UsageError, first_line

if TYPE_CHECKING:
    from torch import Tensor, nn

AS_BUILT, OF_THE_RUN = "as built", "of the run"
NAME = re.compile(r"[\w.:+-]+")

Inputs = tuple[int, ...] | Callable[[int, int], Any]
"""A shape without the batch dimension, or a function of count and seed that returns a batch."""


def file_stem(name: str) -> str:
    """The name of a model as part of the name of a file."""
    return name.replace(":", "@")


@dataclass(frozen=True)
class Model:
    """A model to be deployed.

    name: in test ids, tables and names of files; letters, digits and any of `. _ - + :`.
    build: takes no arguments and returns the module, on the CPU.
    inputs: the shape of one input without the batch dimension, for seeded inputs, or a function of
    (count, seed) that returns a tensor with a leading batch dimension of `count`.
    task: how outputs are judged, a name or an object; see tasks/.
    labels: of the classes, in the order of the outputs.
    weights: AS_BUILT if `build` returns them, unless `--weights` names a state dict for this model;
    OF_THE_RUN if `--weights` sets them; "random" for random ones that make checks meaningful; or
    the path of a state dict.
    reference: an importable name by which a child process finds the same model (references.py).
    """

    name: str
    _: KW_ONLY
    build: Callable[[], nn.Module]
    inputs: Inputs
    task: str | Any = "classification"
    labels: Sequence[str] | None = None
    weights: str | Path = AS_BUILT
    reference: str | None = None

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise UsageError(
                f"'{self.name}' is not a name for a model; use letters, digits and any of . _ - + :"
            )

    @property
    def file_stem(self) -> str:
        """The name as part of the name of a file; those of two models differ."""
        return file_stem(self.name)

    def batch(self, count: int, seed: int = 0) -> Tensor:
        """`count` distinct inputs, float32 or what `inputs` returns; the same for the same seed."""
        if callable(self.inputs):
            batch: Tensor = self.inputs(count, seed)
            return batch
        from . import images

        return images.of_shape(self.inputs, count, seed)

    def built(self) -> nn.Module:
        """The module in evaluation mode, as `build` returns it.

        Raises UsageError if `build` raises an error or returns anything else.
        """
        from torch import nn

        try:
            module = self.build()
        except DeploybenchError:
            raise
        except Exception as error:
            raise UsageError(
                f"{self.name} cannot be built: its callable raised {first_line(error)}; call it in "
                "Python to see where"
            ) from error
        if not isinstance(module, nn.Module):
            raise UsageError(
                f"{self.name} cannot be built: its callable returned a {type(module).__name__}, "
                "not a torch.nn.Module; return the module"
            )
        return module.eval()

    def pretrained_state(self) -> tuple[Mapping[str, Any], Path]:
        """The pretrained state dict of the model's zoo, and the file that it comes from.

        Raises UsageError for a model without one.
        """
        raise UsageError(
            f"{self.name} has no pretrained weights; use --weights random, or a folder of state "
            "dicts"
        )
