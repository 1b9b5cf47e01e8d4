"""Judges whether two outputs agree, and by what margin, for any tensors in any nesting.

The rule is relative: each model has its own unit of error (reference.py). An output agrees with the
reference if none of its tensors is farther away than ERROR_LIMIT units and the task finds no other
fault, such as a different best class.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..nested import flatten
from . import fidelity
from .reference import ERROR_LIMIT, Reference, TensorReference
from .task import Task

if TYPE_CHECKING:
    from torch import Tensor

EXACT = "exact"
EQUAL_WITHIN_ROUNDING = "equal within rounding"
DIFFERENT = "different"
UNDECIDED = "cannot tell"
"""The outputs cannot tell right from wrong, whatever the backend answers."""


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
