"""Model: the object that a run passes around, also to child processes. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

AS_BUILT, OF_THE_RUN = "as built", "of the run"

Inputs = tuple[int, ...] | Callable[[int, int], Any]
"""A shape without the batch dimension, or a function of count and seed that returns a batch."""


@dataclass(frozen=True)
class Model:
    """A model to be deployed.

    name: as in `--models` and in test ids.
    build: takes no arguments and returns the module, on the CPU.
    inputs: the shape of one input without the batch dimension, for seeded inputs, or a function of
    (count, seed) that returns a tensor with a leading batch dimension of `count`.
    task: how outputs are judged, a name or an object; see tasks/.
    labels: of the classes, in the order of the outputs.
    weights: AS_BUILT if `build` returns them, OF_THE_RUN if `--weights` sets them.
    reference: an importable name by which a child process finds the same model (references.py).
    """

    name: str
    _: KW_ONLY
    build: Callable[[], nn.Module]
    inputs: Inputs
    task: str | Any = "classification"
    labels: Sequence[str] | None = None
    weights: str = AS_BUILT
    reference: str | None = None

    def batch(self, count: int, seed: int = 0) -> Tensor:
        """`count` distinct inputs, float32 or what `inputs` returns; the same for the same seed."""
        if callable(self.inputs):
            batch: Tensor = self.inputs(count, seed)
            return batch
        from . import images

        return images.of_shape(self.inputs, count, seed)

    def built(self) -> nn.Module:
        """The module in evaluation mode, as `build` returns it."""
        return self.build().eval()

    def pretrained_state(self) -> tuple[Mapping[str, Any], Path]:
        """The pretrained state dict of the model's zoo, and the file that it comes from.

        Raises UsageError for a model without one.
        """
        raise UsageError(
            f"{self.name} has no pretrained weights; use --weights random, or a folder of state "
            "dicts"
        )
