"""Segmentation: the class of every pixel must be the reference's.

A pixel may change its class only if the reference logits of the two classes are closer than the
limit of rounding. The share of pixels that change beyond that must be 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from .agreement import indistinct_classes
from .reference import Reference, TensorReference
from .task import Task

if TYPE_CHECKING:
    from torch import Tensor

SURE = 0.99
"""The share of pixels whose gap is at least the margin."""


class Segmentation(Task):
    """Logits [inputs, classes, height, width]: the tensor "out" if there is one, else the first."""

    name: ClassVar[str] = "segmentation"
    value = "logit"
    values = "logits"

    def place(self, path: str, index: tuple[int, ...]) -> str:
        """The class, the pixel and the input of a logit."""
        if len(index) != 4:
            return super().place(path, index)
        part = f" of '{path}'" if path else ""
        return f"class {index[1]} of pixel ({index[2]}, {index[3]}) of input {index[0]}{part}"

    def unusable(self, reference: Reference) -> str:
        """Why the reference cannot distinguish classes; empty if it can."""
        _, logits = _logits(reference)
        expected = logits.expected
        if expected.ndim != 4:
            return (
                "a segmentation model gives logits of shape [inputs, classes, height, width], but "
                f"this model gives {list(expected.shape)}; use another task"
            )
        return indistinct_classes(logits, self.value)

    def fault(self, output: Mapping[str, Tensor], reference: Reference) -> str:
        """The share of pixels with a wrong class, and the first of them; empty if there is none."""
        path, logits = _logits(reference)
        answered = output[path].argmax(1, keepdim=True)
        expected = logits.expected.argmax(1, keepdim=True)
        gaps = logits.expected.gather(1, expected) - logits.expected.gather(1, answered)
        wrong = gaps > logits.limit
        if not wrong.any():
            return ""
        row, _, y, x = (int(index) for index in wrong.nonzero()[0])
        got, want = int(answered[row, 0, y, x]), int(expected[row, 0, y, x])
        return (
            f"{wrong.double().mean().item():.2g} of the pixels have another class than the "
            f"reference, the first is ({y}, {x}) of input {row}: class {got} instead of {want}, "
            f"whose reference logits differ by {gaps[row, 0, y, x].item():.3g}, "
            f"{logits.limit:.2g} is rounding"
        )

    def margin(self, reference: Reference) -> float | None:
        """The gap between the two best classes that SURE of the pixels exceed, in units of error.

        Of the pixels at borders between classes, some always have almost no gap.
        """
        _, logits = _logits(reference)
        if logits.expected.ndim != 4 or logits.expected.shape[1] < 2 or not logits.unit:
            return None
        best = logits.expected.topk(2, dim=1).values
        gaps = (best[:, 0] - best[:, 1]).flatten()
        rank = max(1, math.ceil((1 - SURE) * len(gaps)))
        return float(gaps.kthvalue(rank).values.item() / logits.unit)


def _logits(reference: Reference) -> tuple[str, TensorReference]:
    if "out" in reference.tensors:
        return "out", reference.tensors["out"]
    return next(iter(reference.tensors.items()))
