"""Classification: the five best classes must be the reference's, in order.

Two classes may swap places only if their reference logits are closer than the limit of rounding.
Outputs are taken for probabilities if each row has no negative number and adds up to 1; the rule is
the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .agreement import indistinct_classes
from .reference import Reference, TensorReference
from .task import Task

if TYPE_CHECKING:
    from torch import Tensor

BEST = 5


class Classification(Task):
    """Logits or probabilities [inputs, classes], the first tensor of the output.

    Any number of classes.
    """

    name = "classification"
    value = "logit"
    values = "logits"

    def words(self, reference: Reference) -> tuple[str, str]:
        """Logits, or probabilities."""
        if _are_probabilities(_logits(reference)[1]):
            return "probability", "probabilities"
        return super().words(reference)

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
        return indistinct_classes(logits, self.words(reference)[0])

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
        value = self.words(reference)[0]
        return (
            f"place {place + 1} of input {row} is class {got} with {value} {found[row, got]:.6g}, "
            f"where the reference has class {want} with {logits.expected[row, want]:.6g} "
            f"and gives class {got} {logits.expected[row, got]:.6g}"
        )

    def margin(self, reference: Reference) -> float | None:
        """The smallest gap between neighbours among the first six classes, in units of error.

        Of probabilities, only those count that rounding can tell from 0: a sure answer has its
        next classes there, in any order. None if there is only one class, and for
        integers, which are not rounded.
        """
        _, logits = _logits(reference)
        if logits.expected.ndim != 2 or logits.expected.shape[1] < 2 or not logits.unit:
            return None
        best = logits.expected.topk(min(BEST + 1, logits.expected.shape[1]), dim=1).values
        gaps = best[:, :-1] - best[:, 1:]
        if _are_probabilities(logits):
            gaps = gaps[best[:, :-1] > logits.limit]
        return float(gaps.min().item() / logits.unit) if gaps.numel() else None


def _logits(reference: Reference) -> tuple[str, TensorReference]:
    return next(iter(reference.tensors.items()))


def _are_probabilities(outputs: TensorReference) -> bool:
    expected = outputs.expected
    if expected.ndim != 2 or expected.shape[1] < 2 or not expected.is_floating_point():
        return False
    # Each number may be off by the unit; the reference itself is more exact.
    allowed = max(outputs.unit * expected.shape[1], 1e-6)
    return bool((expected >= 0).all() and ((expected.sum(1) - 1).abs() <= allowed).all())
