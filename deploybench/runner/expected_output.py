"""The right outputs of a model: computed in float64, or as its user says."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .. import batches
from ..batches import Batch
from ..errors import BackendFailed, UsageError, first_line
from ..models import Model
from ..nested import map_tensors
from ..settings import Settings
from ..tasks.task import Task

REMEDY = (
    "give Model(..., tolerance=...), the largest distance from eager that you allow, or "
    "Model(..., reference_output=...), a function that returns the right output"
)


def require_usable(model: Model) -> None:
    """Raise UsageError for a tolerance or a reference function that cannot be one."""
    tolerance, function = model.tolerance, model.reference_output
    if tolerance is not None and not (0 < tolerance < math.inf):
        raise UsageError(
            f"tolerance {tolerance!r} of {model.name} must be more than 0 and finite: it is the "
            "largest distance that is allowed"
        )
    if function is not None and not callable(function):
        raise UsageError(
            f"reference_output of {model.name} is a {type(function).__name__}, not a function; "
            "give one that takes the model's inputs and returns its output"
        )


def expected_outputs(
    model: Model, module: nn.Module, inputs: Sequence[Batch], settings: Settings
) -> list[Any] | None:
    """The right output for each batch, on the CPU; None if eager's own output must do.

    That is so for a model with a tolerance that cannot run in float64. Raises BackendFailed, with
    what to do, if there is no tolerance either.
    """
    if model.reference_output is not None:
        return [_by_user(model, batch) for batch in inputs]
    try:
        return _in_float64(module, inputs, settings)
    except Exception as error:
        if model.tolerance is not None:
            return None
        raise BackendFailed(
            f"{model.name} cannot run in float64 ({first_line(error)}), so its answers cannot be "
            f"judged; {REMEDY}"
        ) from error


def _by_user(model: Model, batch: Batch) -> Any:
    assert model.reference_output is not None
    try:
        with torch.inference_mode():
            return map_tensors(Tensor.cpu, model.reference_output(*batch))
    except Exception as error:
        raise UsageError(
            f"reference_output of {model.name} failed: {first_line(error)}; it gets "
            "the model's inputs and returns the right output"
        ) from error


@contextmanager
def in_float64(module: nn.Module, settings: Settings) -> Iterator[None]:
    """A context in which the module computes in float64, for inference.

    It is converted in place and back: float64 represents every number of the other dtypes exactly,
    so the weights return unchanged, and no second copy of the model is needed.
    """
    module.double()
    try:
        with torch.inference_mode():
            yield
    finally:
        module.to(getattr(torch, settings.dtype))


def _in_float64(module: nn.Module, inputs: Sequence[Batch], settings: Settings) -> list[Any]:
    with in_float64(module, settings):
        return [
            map_tensors(Tensor.cpu, module(*batches.to_device(exact, settings.device)))
            for batch in inputs
            for exact in [batches.convert(batch, torch.float64)]
        ]


def reference(model: Model, task: Task, expected: Any | None, eager: Any) -> Any:
    """What the task compares outputs with, from the joined outputs; see expected_outputs."""
    if expected is None:
        expected = map_tensors(_exact, eager)
    try:
        return task.reference(expected, eager, model.tolerance)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        if model.reference_output is None:
            raise
        raise UsageError(
            f"reference_output of {model.name} must return what the model returns, in parts and "
            f"shapes: {first_line(error)}"
        ) from error


def _exact(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor
