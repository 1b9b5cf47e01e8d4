"""Detection: the same boxes, with the same labels and scores, in any order.

Boxes are matched by overlap (boxes.py). Of the pairs, labels must be equal, and everything else is
held against its own unit, which is eager's largest error on its own pairs with float64. A box
without a partner is a fault, unless rounding alone can explain it: its score is as close as
rounding to the detector's threshold, or to the lowest score where the detector keeps only so many;
or another box suppresses it, or no longer does, because their overlap is at the limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .agreement import DIFFERENT, EQUAL_WITHIN_ROUNDING, EXACT, Agreement
from .boxes import BOXES, LABELS, SCORES, Found, match, matched, only, per_input, unmatched
from .reference import ERROR_LIMIT, TensorReference
from .selection import Selection
from .task import Task

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class DetectionReference:
    """What float64 and eager find in each input, and the unit of each tensor of the pairs.

    tensors: of the pairs of eager with float64, by name. faults: boxes of eager without a partner
    that rounding cannot explain, in words. undecided: why the boxes of all inputs of the run cannot
    tell right from wrong, in words; empty if they can.
    """

    expected: tuple[Found, ...]
    eager: tuple[Found, ...]
    tensors: Mapping[str, TensorReference]
    faults: str
    undecided: str

    @property
    def score_limit(self) -> float:
        """The largest distance of two scores that counts as rounding."""
        return self.tensors[SCORES].limit if self.tensors else 0.0

    def rows(self, rows: slice) -> DetectionReference:
        """The reference of some inputs, with the units of all."""
        return DetectionReference(
            self.expected[rows], self.eager[rows], self.tensors, self.faults, self.undecided
        )


class Detection(Task):
    """For each input a dict of boxes [k, 4], labels [k], scores [k], and more with a row per box.

    score_threshold, most, suppression: what the detector does to its boxes, as in Selection; each
    may be left out, and no box may then be missing for that reason.
    """

    name: ClassVar[str] = "detection"

    def __init__(
        self,
        score_threshold: float | None = None,
        most: int | None = None,
        suppression: float | None = None,
    ) -> None:
        self.selection = Selection(score_threshold, most, suppression)

    def join(self, outputs: Sequence[Any]) -> Any:
        """The detections of all inputs, one after the other."""
        return [found for output in outputs for found in per_input(output)]

    def reference(
        self, expected: Any, eager: Any, tolerance: float | None = None
    ) -> DetectionReference:
        """Match eager's boxes with those of float64, and take the units from the pairs."""
        exact, own = tuple(per_input(expected)), tuple(per_input(eager))
        pairs = [match(*each) for each in zip(exact, own, strict=True)]
        of_exact, of_own = matched(exact, own, pairs)
        tensors = {
            name: TensorReference.of(of_exact[name], of_own[name], tolerance) for name in of_exact
        }
        undecided = _undecided(exact, tensors)
        reference = DetectionReference(exact, own, tensors, "", undecided)
        faults = self._unexplained(own, reference, pairs)
        return DetectionReference(exact, own, tensors, faults, undecided)

    def judge(self, output: Any, reference: DetectionReference) -> Agreement:
        """Whether the output has the reference's boxes, labels and scores."""
        if reference.undecided:
            return Agreement.undecided(reference.undecided, len(reference.expected))
        error, reason, found = math.inf, "", []
        try:
            found = per_input(output)
            reason = self._unjudgeable(reference) or _malformed(found, reference)
        except TypeError as wrong:
            reason = f"the output cannot be compared: {wrong}"
        if not reason:
            error, reason = self._compare(found, reference)
        if reason:
            verdict = DIFFERENT
        else:
            verdict = EXACT if _equal(found, reference.eager) else EQUAL_WITHIN_ROUNDING
        margin = self._smallest_gap(reference)
        return Agreement(verdict, error, margin, len(reference.expected), reason)

    def _unjudgeable(self, reference: DetectionReference) -> str:
        """Why no answer can be judged by the reference; empty if it can."""
        if reference.faults:
            return (
                f"eager itself finds other boxes than float64, so no answer can be judged: "
                f"{reference.faults}"
            )
        for name, each in reference.tensors.items():
            if name == LABELS and not bool((each.expected == each.eager).all()):
                return "eager itself gives other labels than float64, so no answer can be judged"
            if each.implausible:
                return f"in '{name}', {each.implausible}"
        return ""

    def _compare(self, found: Sequence[Found], reference: DetectionReference) -> tuple[float, str]:
        pairs = [match(*each) for each in zip(reference.expected, found, strict=True)]
        expected, answered = matched(reference.expected, found, pairs)
        errors = {
            name: _error(answered[name], expected[name], each.unit)
            for name, each in reference.tensors.items()
        }
        error = max((each.max().item() for each in errors.values() if len(each)), default=0.0)
        # A box without a partner tells more than the distance of a box that is not its partner.
        reason = self._unexplained(found, reference, pairs)
        for name, each in errors.items():
            if not reason and (each > ERROR_LIMIT).any():
                worst = int(each.argmax())
                row, box = _place(worst, pairs)
                reason = _too_far(name, answered, expected, worst, f"box {box} of input {row}")
                if name != LABELS:
                    units = each[worst].item()
                    reason += f": {units:.3g} times eager's error, {ERROR_LIMIT:g} are allowed"
        return float(error), reason

    def _unexplained(
        self,
        found: Sequence[Found],
        reference: DetectionReference,
        pairs: Sequence[tuple[list[int], list[int]]],
    ) -> str:
        """The first box without a partner that rounding cannot explain, in words."""
        limit = reference.score_limit
        for row, (expected, answered) in enumerate(zip(reference.expected, found, strict=True)):
            left = [
                unmatched(len(each[BOXES]), paired)
                for each, paired in zip((expected, answered), pairs[row], strict=True)
            ]
            for what, side, own, other in (
                ("has no partner in the output", 0, expected, answered),
                ("of the output is not in the reference", 1, answered, expected),
            ):
                for box in left[side]:
                    rivals = only(other, left[1 - side])
                    if not self.selection.explains(own, box, other, rivals, limit):
                        return (
                            f"box {box} of input {row}, label {int(own[LABELS][box])} with score "
                            f"{own[SCORES][box].item():.6g}, {what}"
                        )
        return ""

    def _smallest_gap(self, reference: DetectionReference) -> float | None:
        """How far the closest score is from the threshold, in units; None without a threshold."""
        threshold = self.selection.score_threshold
        if threshold is None or not reference.tensors:
            return None
        gaps = [
            (each[SCORES].double() - threshold).abs().min().item()
            for each in reference.expected
            if len(each[SCORES])
        ]
        return min(gaps) / reference.tensors[SCORES].unit if gaps else None


def _undecided(exact: Sequence[Found], tensors: Mapping[str, TensorReference]) -> str:
    """Why the boxes cannot tell right from wrong; empty if they can."""
    if not any(len(each[BOXES]) for each in exact):
        return "eager finds no box in any input"
    if len(exact) > 1 and all(_alike(exact[0], each, tensors) for each in exact[1:]):
        return f"eager finds the same boxes in all {len(exact)} inputs"
    return ""


def _alike(one: Found, other: Found, tensors: Mapping[str, TensorReference]) -> bool:
    """Whether rounding alone can explain all differences of two inputs' boxes."""
    return all(
        tensor.shape == other[name].shape
        and bool(((tensor.double() - other[name].double()).abs() <= tensors[name].told_apart).all())
        for name, tensor in one.items()
    )


def _malformed(found: Sequence[Found], reference: DetectionReference) -> str:
    """Why the output cannot be compared; empty if it can."""
    if len(found) != len(reference.eager):
        return f"the output is for {len(found)} inputs instead of {len(reference.eager)}"
    for row, (answered, eager) in enumerate(zip(found, reference.eager, strict=True)):
        if answered.keys() != eager.keys():
            return f"input {row} has the parts {sorted(answered)} instead of {sorted(eager)}"
        for name, tensor in answered.items():
            place, like = f"'{name}' of input {row} has", eager[name]
            if tensor.dtype != like.dtype:
                return f"{place} dtype {tensor.dtype} instead of {like.dtype}"
            if tensor.shape[1:] != like.shape[1:]:
                return f"{place} shape {list(tensor.shape)} instead of {list(like.shape)}"
            if tensor.is_floating_point() and not tensor.isfinite().all():
                return f"{place} NaN or infinity"
    return ""


def _error(answered: Tensor, expected: Tensor, unit: float) -> Tensor:
    """The largest distance of each row, in units; 0 or infinity for integers."""
    import torch

    if not len(answered):
        return torch.zeros(0, dtype=torch.float64)
    if not answered.is_floating_point():
        differs = (answered != expected).flatten(1) if answered.ndim > 1 else answered != expected
        any_differs = differs.any(1) if differs.ndim > 1 else differs
        return torch.where(any_differs, math.inf, 0.0).double()
    distance = (answered.double() - expected.double()).abs().reshape(len(answered), -1)
    return distance.amax(1) / unit


def _place(pair: int, pairs: Sequence[tuple[list[int], list[int]]]) -> tuple[int, int]:
    """The input, and the box of its reference, of a pair by its place among all pairs."""
    for row, (expected, _) in enumerate(pairs):
        if pair < len(expected):
            return row, expected[pair]
        pair -= len(expected)
    raise IndexError(pair)


def _too_far(
    name: str,
    answered: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    pair: int,
    place: str,
) -> str:
    got, want = answered[name][pair].flatten(), expected[name][pair].flatten()
    worst = int((got.double() - want.double()).abs().argmax())
    return (
        f"'{name}' of {place} has {got[worst].item():.6g} where the reference has "
        f"{want[worst].item():.6g}"
    )


def _equal(found: Sequence[Found], eager: Sequence[Found]) -> bool:
    import torch

    return all(
        torch.equal(answered[name], own[name])
        for answered, own in zip(found, eager, strict=True)
        for name in own
    )
