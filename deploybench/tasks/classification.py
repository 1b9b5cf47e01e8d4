"""Classification: the five best classes must be the reference's, in order.

Two classes may swap places only if their reference logits are closer than the limit of rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .agreement import Reference, TensorReference
from .task import Task

if TYPE_CHECKING:
    from torch import Tensor

BEST = 5


class Classification(Task):
    """Logits [inputs, classes], the first tensor of the output; any number of classes."""

    name = "classification"
    value = "logit"
    values = "logits"

    def place(self, path: str, index: tuple[int, ...]) -> str:
        """The class and the input of a logit."""
        if len(index) != 2:
            return super().place(path, index)
        part = f" of '{path}'" if path else ""
        return f"class {index[1]} of input {index[0]}{part}"

    def unusable(self, reference: Reference) -> str:
        """Why the reference cannot distinguish classes; empty if it can."""
        _, logits = _logits(reference)
        expected = logits.expected
        if expected.ndim != 2:
            return (
                "a classifier gives logits of shape [inputs, classes], but this model gives "
                f"{list(expected.shape)}; use another task"
            )
        if expected.shape[1] > 1 and (expected == expected[:, :1]).all():
            return "eager gives the same logit for every class, so no answer can be judged"
        return ""

    def fault(self, output: Mapping[str, Tensor], reference: Reference) -> str:
        """The first wrong class of the best ones, with both logits; empty if all are right."""
        path, logits = _logits(reference)
        found, count = output[path], min(BEST, output[path].shape[1])
        answered = found.topk(count, dim=1).indices
        expected = logits.expected.topk(count, dim=1).indices
        gaps = logits.expected.gather(1, expected) - logits.expected.gather(1, answered)
        wrong = (answered != expected) & (gaps.abs() > logits.limit)
        if not wrong.any():
            return ""
        row, place = (int(index) for index in wrong.nonzero()[0])
        got, want = int(answered[row, place]), int(expected[row, place])
        return (
            f"place {place + 1} of input {row} is class {got} with logit {found[row, got]:.6g}, "
            f"where the reference has class {want} with {logits.expected[row, want]:.6g} "
            f"and gives class {got} {logits.expected[row, got]:.6g}"
        )

    def margin(self, reference: Reference) -> float | None:
        """The smallest gap between neighbours among the first six classes, in units of error.

        None if there is only one class.
        """
        _, logits = _logits(reference)
        if logits.expected.ndim != 2 or logits.expected.shape[1] < 2:
            return None
        best = logits.expected.topk(min(BEST + 1, logits.expected.shape[1]), dim=1).values
        return float((best[:, :-1] - best[:, 1:]).min().item() / logits.unit)


def _logits(reference: Reference) -> tuple[str, TensorReference]:
    return next(iter(reference.tensors.items()))
