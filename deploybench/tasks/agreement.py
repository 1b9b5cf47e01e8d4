"""Judges whether two outputs agree, and by what margin, for any tensors in any nesting.

The rule is relative: each model has its own unit of error. A reference is computed in float64. The
largest absolute difference of eager from it, over all inputs and elements of a tensor, is the unit
of that tensor. An output agrees with the reference if none of its tensors is farther away than
ERROR_LIMIT units and the task finds no other fault, such as a different best class.
A tolerance that the user gives takes the place of ERROR_LIMIT units.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..nested import flatten
from . import fidelity
from .task import Task

if TYPE_CHECKING:
    from torch import Tensor

EXACT = "exact"
EQUAL_WITHIN_ROUNDING = "equal within rounding"
DIFFERENT = "different"
UNDECIDED = "cannot tell"
"""The outputs cannot tell right from wrong, whatever the backend answers."""

# The limit of a backend's distance from the float64 reference, in units of eager's own rounding
# error. Kernels that sum in another order differ by a few units, a wrong weight by hundreds.
ERROR_LIMIT = 8.0

# By dtype, the largest plausible rounding error of eager, as a share of the largest value. Beyond
# it, eager is wrong, and its error as the unit would accept any answer. The largest shares of the
# article's 31 models on a CPU are 1.7e-5 in float32 and 0.27 in bfloat16; 15 of them have at most
# 0.025 in float16. TF32, which float32 may use, rounds 2**13 times as coarsely.
PLAUSIBLE_ERROR = {"float32": 0.1, "float16": 0.15, "bfloat16": 0.5}


@dataclass(frozen=True)
class TensorReference:
    """The reference of one output tensor, and the accuracy to expect in the run's dtype.

    expected: [inputs, ...], float64 if the output has floating-point numbers. eager: the output of
    eager, in its own dtype. unit: eager's largest absolute distance from `expected`; 0 if the
    output has integers or booleans, which must be equal. tolerance: the distance that the user
    allows, which then sets the unit; None if eager does.
    """

    expected: Tensor
    eager: Tensor
    unit: float
    tolerance: float | None = None

    @classmethod
    def of(cls, expected: Tensor, eager: Tensor, tolerance: float | None = None) -> TensorReference:
        """A reference from the outputs of float64 and eager for the same inputs."""
        import torch

        if expected.shape != eager.shape:
            raise ValueError(f"shape {list(expected.shape)} instead of {list(eager.shape)}")
        if not eager.is_floating_point():
            return cls(expected, eager, 0.0)
        if tolerance is not None:
            return cls(expected, eager, tolerance / ERROR_LIMIT, tolerance)
        distance = (eager.double() - expected).abs().nan_to_num(math.inf, posinf=math.inf)
        measured = distance.max().item() if distance.numel() else 0.0
        # Even if eager equals the reference by chance, the unit is at least the spacing of its
        # numbers; if all are 0, that spacing is 0 too.
        limits = torch.finfo(eager.dtype)
        largest = expected.abs().max().item() if expected.numel() else 0.0
        return cls(expected, eager, max(measured, limits.eps * largest, limits.tiny))

    @property
    def limit(self) -> float:
        """The largest distance from `expected` that counts as rounding."""
        return ERROR_LIMIT * self.unit

    @property
    def told_apart(self) -> float:
        """The distance beyond which two values are two answers.

        In half precision, eager's own error alone, because several of it may exceed the values. If
        the user allows a distance, any difference counts.
        """
        if self.tolerance is not None:
            return 0.0
        return self.unit if self.eager.element_size() < 4 else self.limit

    def is_constant(self, dimension: int) -> bool:
        """Whether rounding alone can explain all differences along a dimension."""
        if not self.expected.numel():
            return True
        if not self.expected.is_floating_point():
            first = self.expected.narrow(dimension, 0, 1)
            return bool((self.expected == first).all())
        spread = self.expected.amax(dimension) - self.expected.amin(dimension)
        return bool(spread.max() <= self.told_apart)

    def rows(self, rows: slice) -> TensorReference:
        """The reference of some inputs, with the unit of all inputs."""
        return TensorReference(self.expected[rows], self.eager[rows], self.unit, self.tolerance)

    @property
    def implausible(self) -> str:
        """Why eager's error cannot be the unit, in words; empty if it can."""
        import torch

        if not self.eager.is_floating_point():
            return ""
        dtype = str(self.eager.dtype).removeprefix("torch.")
        unusable = "so no answer can be judged"
        if not math.isfinite(self.unit):
            return f"eager itself gives NaN or infinity in {dtype}, {unusable}"
        if self.tolerance is not None:
            return self._beyond_tolerance
        largest = self.expected.abs().max().item() if self.expected.numel() else 0.0
        share = self.unit / max(largest, self.unit)
        allowed = PLAUSIBLE_ERROR.get(dtype, 1.0)
        # Numbers below the smallest of the dtype are 0 in it, and eager is not to blame.
        if share > allowed and largest > torch.finfo(self.eager.dtype).tiny:
            return (
                f"eager itself differs from float64 by {share:.2g} of the largest value, more than "
                f"rounding in {dtype} can explain ({allowed:g}), {unusable}"
            )
        return ""

    @property
    def _beyond_tolerance(self) -> str:
        if not self.eager.isfinite().all():
            return "eager itself gives NaN or infinity, so no answer can be judged"
        distance = (self.eager.double() - self.expected).abs()
        farthest = distance.max().item() if distance.numel() else 0.0
        if farthest > self.limit:
            return (
                f"eager itself differs from the reference by {farthest:.3g}, more than the model's "
                f"tolerance of {self.tolerance:g}; allow more, or mend reference_output"
            )
        return ""


@dataclass(frozen=True)
class Reference:
    """The reference of a model's output, tensor by tensor.

    tensors: by path, as in nested.flatten; "" if the output is a single tensor. partial: whether it
    is of some of the inputs, which cannot show whether the outputs tell right from wrong.
    """

    tensors: Mapping[str, TensorReference]
    partial: bool = False

    @classmethod
    def of(cls, expected: Any, eager: Any, tolerance: float | None = None) -> Reference:
        """A reference from the nested outputs of float64 and of eager for the same inputs."""
        found = flatten(eager)
        return cls(
            {
                path: TensorReference.of(tensor, found[path], tolerance)
                for path, tensor in flatten(expected).items()
            }
        )

    def rows(self, rows: slice) -> Reference:
        """The reference of some inputs, with the units of all inputs."""
        tensors = {path: each.rows(rows) for path, each in self.tensors.items()}
        return Reference(tensors, partial=True)


@dataclass(frozen=True)
class Agreement:
    """The verdict on one output.

    verdict: EXACT (equal to eager bit by bit), EQUAL_WITHIN_ROUNDING, DIFFERENT, UNDECIDED or, of a
    backend of reduced precision, one of fidelity.STATUSES.
    error: the largest distance from the float64 reference, in units of eager's own error.
    margin: the room before rounding alone could change the answer, in the same unit; None for
    tasks without a margin.
    inputs: the number of compared inputs. reason: what is wrong, in words, unless it agrees.
    """

    verdict: str
    error: float
    margin: float | None
    inputs: int
    reason: str = ""

    @property
    def agrees(self) -> bool:
        """Whether it is the right answer, or of reduced precision, which has its own verdict."""
        return self.verdict in (EXACT, EQUAL_WITHIN_ROUNDING, *fidelity.STATUSES)

    def described(self, checked: str) -> str:
        """Why it does not agree, for the user. checked: what was checked, in words."""
        return self.reason if self.verdict == UNDECIDED else f"different, {checked}: {self.reason}"

    @classmethod
    def undecided(cls, why: str, inputs: int) -> Agreement:
        """The verdict on any output of a model whose outputs cannot tell right from wrong."""
        reason = f"the outputs cannot tell right from wrong: {why}"
        return cls(UNDECIDED, math.inf, None, inputs, reason)


def judge(output: Any, reference: Reference, task: Task) -> Agreement:
    """Compare `output`, on the CPU, with `reference`, by the distance of each tensor and by `task`.

    output: a tensor [inputs, ...], or any nesting of tuples, lists and dicts of tensors.
    """
    import torch

    inputs = max((len(each.expected) for each in reference.tensors.values()), default=0)
    faults = (each.implausible for each in reference.tensors.values())
    implausible = next(filter(None, faults), "")
    if not (implausible or reference.partial) and (why := _undecided(reference, task)):
        return Agreement.undecided(why, inputs)
    found: Mapping[str, Tensor] = {}
    try:
        found = flatten(output)
        reason = implausible or _malformed(found, reference, task)
    except TypeError as wrong:
        reason = f"the output cannot be compared: {wrong}"
    error = math.inf
    if not reason:
        distances = {path: _distance(found[path], each) for path, each in reference.tensors.items()}
        error = max(distances.values())
        reason = task.fault(found, reference) or _too_far(found, reference, distances, task)
    if reason:
        verdict = DIFFERENT
    elif all(torch.equal(found[path], each.eager) for path, each in reference.tensors.items()):
        verdict = EXACT
    else:
        verdict = EQUAL_WITHIN_ROUNDING
    return Agreement(verdict, error, task.margin(reference), inputs, reason)


def _undecided(reference: Reference, task: Task) -> str:
    """Why no answer can be told from a wrong one; empty if it can."""
    if why := task.unusable(reference):
        return why
    tensors = [each for each in reference.tensors.values() if each.expected.ndim]
    inputs = max((len(each.expected) for each in tensors), default=0)
    if inputs > 1 and all(each.is_constant(0) for each in tensors):
        return f"eager gives the same output for all {inputs} inputs"
    return ""


def indistinct_classes(logits: TensorReference, value: str) -> str:
    """Why no class is the best one of [inputs, classes, ...]; empty if there is one.

    value: what a number of the output is called.
    """
    if logits.expected.shape[1] > 1 and logits.is_constant(1):
        return f"eager gives the same {value} for every class"
    return ""


def _malformed(output: Mapping[str, Tensor], reference: Reference, task: Task) -> str:
    """Why `output` cannot be compared; empty if it can."""
    if output.keys() != reference.tensors.keys():
        names = [sorted(each) for each in (output, reference.tensors)]
        return f"the output has the parts {names[0]} instead of {names[1]}"
    for path, each in reference.tensors.items():
        values = task.words(reference)[1]
        if reason := _malformed_tensor(path, output[path], each, task, values):
            return reason
    return ""


def _malformed_tensor(
    path: str, output: Tensor, reference: TensorReference, task: Task, values: str
) -> str:
    expected, part = reference.eager, f"'{path}' has " if path else ""
    if output.shape != expected.shape:
        return f"{part}shape {list(output.shape)} instead of {list(expected.shape)}"
    if output.dtype != expected.dtype:
        return f"{part}dtype {output.dtype} instead of {expected.dtype}"
    if output.is_floating_point():
        for name, wrong in (("NaN", output.isnan()), ("infinity", output.isinf())):
            if wrong.any():
                first = task.place(path, tuple(wrong.nonzero()[0].tolist()))
                return f"{wrong.sum().item()} {values} are {name}, the first for {first}"
    if len(output) > 1 and (output == output[0]).all() and (expected != expected[0]).any():
        return f"the output is the same for all {len(output)} inputs"
    return ""


def _distance(output: Tensor, reference: TensorReference) -> float:
    """The largest distance from the reference, in its unit; 0 or infinity for integers."""
    if not output.numel():
        return 0.0
    if not output.is_floating_point():
        return 0.0 if (output == reference.expected).all() else math.inf
    return float((output.double() - reference.expected).abs().max().item() / reference.unit)


def _too_far(
    output: Mapping[str, Tensor], reference: Reference, distances: Mapping[str, float], task: Task
) -> str:
    """The element that is farthest away, if that exceeds the limit; otherwise empty."""
    path = max(distances, key=lambda each: distances[each])
    if distances[path] <= ERROR_LIMIT:
        return ""
    import torch

    found, expected = output[path], reference.tensors[path].expected
    distance = (found.double() - expected.double()).abs()
    index = tuple(int(each) for each in torch.unravel_index(distance.argmax(), distance.shape))
    where = f"{task.place(path, index)} has {task.words(reference)[0]} {found[index].item():.6g}"
    compared = f"{where} where the reference has {expected[index].item():.6g}"
    if math.isinf(distances[path]):
        return f"{compared}: these must be equal"
    return f"{compared}: {distances[path]:.3g} times eager's error, {ERROR_LIMIT:g} are allowed"
