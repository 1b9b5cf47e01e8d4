"""Checks that a model itself can be measured, in eager, before any backend has it.

A model that is random, changes its input, or answers by the order of its batch has no right answer
to compare a backend with. Such a model is refused here in one line; otherwise its backends would be
blamed for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import DeploybenchError, UsageError, first_line
from ..nested import concatenate, flatten, map_tensors
from ..settings import Settings, calling
from ..tasks.reference import PLAUSIBLE_ERROR

INPUTS = 4
"""How many inputs are called alone and in one batch, if the run has as many."""
REPEATED = 16.0
"""How many roundings two calls on the same input may differ by on a CPU: memory may be aligned
otherwise."""
REPEATED_ON_CUDA = 1024.0
"""The same on a GPU, where atomic additions come in any order and each layer amplifies that."""
FLOAT32_ON_CPU = 1e-3
"""The share of the largest value by which a batch may differ from single calls, which other kernels
compute. In other dtypes, and on a GPU, where float32 may be TF32, it is PLAUSIBLE_ERROR."""


def require_sound(
    name: str,
    module: nn.Module,
    batch: Any,
    singles: Sequence[Any],
    settings: Settings,
) -> None:
    """Raise UsageError, in one line, if the model `name` cannot be measured.

    batch: several inputs as one batch. singles: the same inputs, each as a batch of one.
    """
    first = _checked_call(name, module, batch, settings)
    again = _checked_call(name, module, batch, settings)
    _require_deterministic(name, first, again, settings)
    if _is_per_input(first):
        return  # boxes, whose number and order rounding may change
    alone = [_checked_call(name, module, single, settings) for single in singles]
    _require_own_answers(name, first, alone, settings)


def _checked_call(name: str, module: nn.Module, batch: Any, settings: Settings) -> Any:
    """The answer to a batch, on the CPU, once it is known to be one."""
    tensors = batch if isinstance(batch, tuple) else (batch,)
    given = [tensor.to(settings.device, copy=True) for tensor in tensors]
    before = [tensor.clone() for tensor in given]
    try:
        with calling(settings):
            output = module(*given)
    except DeploybenchError:
        raise
    except Exception as error:
        shapes = ", ".join(str(list(tensor.shape)) for tensor in tensors)
        raise UsageError(
            f"{name} cannot answer a batch of shape {shapes}: {first_line(error)}; check its input "
            "shape and its forward"
        ) from error
    try:
        answers = flatten(output)
    except TypeError as error:
        raise UsageError(
            f"{name} must return tensors, or tuples, lists or dicts of them: {error}"
        ) from error
    if not all(_equal(*pair) for pair in zip(before, given, strict=True)):
        raise UsageError(
            f"{name} changes its own input in place, so the next call gets another one; make its "
            "forward work on a copy"
        )
    if any(getattr(part, "training", False) for part in module.modules()):
        raise UsageError(
            f"{name} is in training mode although eval() was called, so it is not deterministic; "
            "its forward and its train() must leave the mode alone"
        )
    for path, tensor in answers.items():
        if tensor.is_floating_point() and tensor.isnan().any():
            place = f" in '{path}'" if path else ""
            raise UsageError(
                f"{name} itself answers NaN{place} in {settings.dtype}, so nothing can be judged; "
                "check its weights and inputs"
            )
    return map_tensors(lambda tensor: tensor.cpu(), output)


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(
        ((one == other) | ((one != one) & (other != other))).all()
    )


def _require_deterministic(name: str, first: Any, again: Any, settings: Settings) -> None:
    roundings = REPEATED_ON_CUDA if settings.on_cuda else REPEATED
    limit = roundings * torch.finfo(getattr(torch, settings.dtype)).eps
    share = _difference(flatten(first), flatten(again))
    if share > limit:
        raise UsageError(
            f"{name} is not deterministic: two calls on the same input differ {_in_words(share)}; "
            "remove what is random, or active only in training, from its forward"
        )


def _require_own_answers(name: str, whole: Any, alone: Sequence[Any], settings: Settings) -> None:
    exact = settings.dtype == "float32" and not settings.on_cuda
    limit = FLOAT32_ON_CPU if exact else PLAUSIBLE_ERROR[settings.dtype]
    try:
        share = _difference(flatten(whole), flatten(concatenate(alone)), only_floats=True)
    except (RuntimeError, KeyError, ValueError):  # they cannot be joined
        share = float("inf")
    if share > limit:
        raise UsageError(
            f"{name} answers an input differently alone and in a batch of {len(alone)} "
            f"({_in_words(share)}): an answer must not depend on its place in the batch or on the "
            "other inputs; every output needs the batch as its first dimension"
        )


def _difference(
    one: Mapping[str, Tensor], other: Mapping[str, Tensor], only_floats: bool = False
) -> float:
    """The largest difference as a share of the largest value; infinite for other shapes."""
    if one.keys() != other.keys():
        return float("inf")
    share = 0.0
    for path, tensor in one.items():
        if tensor.shape != other[path].shape:
            return float("inf")
        if not tensor.is_floating_point():
            if not only_floats and not torch.equal(tensor, other[path]):
                return float("inf")
            continue
        # Infinity masks what is out; a difference of two infinities is NaN, and they are equal.
        pair = torch.stack((tensor, other[path])).double()
        if not torch.equal(*pair.isfinite()):
            return float("inf")
        pair = pair.where(pair.isfinite(), 0.0)
        largest = pair.abs().max().item() if pair.numel() else 0.0
        if largest > 0:
            share = max(share, (pair[0] - pair[1]).abs().max().item() / largest)
    return share


def _in_words(share: float) -> str:
    if share == float("inf"):
        return "in shape or in kind"
    return f"by {share:.2g} of the largest value"


def _is_per_input(output: Any) -> bool:
    """Whether an output is a list with a dict for each input, as detectors return them."""
    return isinstance(output, list) and all(isinstance(each, Mapping) for each in output)
