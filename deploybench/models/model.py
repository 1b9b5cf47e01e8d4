"""Model: the object that a run passes around, also to child processes. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import batches
from ..batches import Batch
from ..errors import DeploybenchError, UsageError, first_line

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor, nn

AS_BUILT, OF_THE_RUN = "as built", "of the run"
NAME = re.compile(r"[\w.:+-]+")

Inputs = tuple[int, ...] | Callable[[int, int], Any]
"""A shape without the batch dimension, or a function of count and seed; see Model."""


def file_stem(name: str) -> str:
    """The name of a model as part of the name of a file."""
    return name.replace(":", "@")


@dataclass(frozen=True)
class Model:
    """A model to be deployed.

    name: in test ids, tables and names of files; letters, digits and any of `. _ - + :`.
    build: takes no arguments and returns the module, on the CPU.
    inputs: the shape of one input without the batch dimension, for seeded inputs, or a function of
    (count, seed) that returns a tensor, a tuple or a dict of tensors, in which every tensor has a
    leading batch dimension of `count`. A dict has the names of parameters of `forward`. Tensors may
    have any dtype; the floating-point ones are converted to the run's.
    task: how outputs are judged, a name or an object; see tasks/.
    tolerance: the largest distance of any number of the output from the reference; None for a
    multiple of eager's own error, which needs a model that can run in float64.
    reference_output: takes the inputs of a batch, as `build`'s module does, and returns the right
    output; None for what the module returns in float64.
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
    tolerance: float | None = None
    reference_output: Callable[..., Any] | None = None
    labels: Sequence[str] | None = None
    weights: str | Path = AS_BUILT
    reference: str | None = None

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise UsageError(
                f"'{self.name}' is not a name for a model; use letters, digits and any of . _ - + :"
            )

    @property
    def task_name(self) -> str:
        """The name of its task."""
        return str(getattr(self.task, "name", self.task))

    @property
    def file_stem(self) -> str:
        """The name as part of the name of a file; those of two models differ."""
        return file_stem(self.name)

    def batch(self, count: int, seed: int = 0) -> Any:
        """`count` distinct inputs: what `inputs` returns, or a float32 tensor of its shape."""
        if callable(self.inputs):
            return self.inputs(count, seed)
        from . import images

        return images.of_shape(self.inputs, count, seed)

    def arguments(self, module: nn.Module, count: int, seed: int = 0) -> Batch:
        """The same inputs as positional arguments of `module`; raises UsageError if they are not.

        See batches.positional.
        """
        return batches.positional(self.batch(count, seed), module, count, self.name)

    def preprocessing(self) -> Callable[[Image], Tensor]:
        """What makes one input, without the batch dimension, of a PIL image in RGB.

        It scales, crops and normalises as for ImageNet if `inputs` is a shape 3xHxW. Other models
        override it. Raises UsageError for those that do not.
        """
        if callable(self.inputs) or len(self.inputs) != 3 or self.inputs[0] != 3:
            raise UsageError(
                f"{self.name} does not say how a photo becomes its input; use a model of images "
                "whose input is a shape such as 3x224x224, or override Model.preprocessing"
            )
        from . import images

        return images.preprocessing(*self.inputs[1:])

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
