"""A batch: the tensors that one call of a model takes. Imports no torch.

What a model's `inputs` returns becomes a batch once, in `positional`. From then on, everything
calls modules as `module(*batch)`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from .errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Batch: TypeAlias = "tuple[Tensor, ...]"
"""Tensors in the order of the parameters of `forward`, all with the same leading dimension."""

REMEDY = "return a tensor, a tuple or a dict of tensors, each with a leading dimension of `count`"


def positional(given: Any, module: nn.Module, count: int, name: str) -> Batch:
    """`given`, a tensor, a tuple or a dict, as a batch of `count` on the CPU for `module`.

    A dict has the names of parameters of `module.forward`. name: of the model, for errors. Raises
    UsageError for anything else than dense tensors with a leading dimension of `count`, and for a
    dict that `forward` cannot take by position.
    """
    named = _named(given, name)
    for key, each in named.items():
        _require_rows(f"input '{key}' of {name}", each)
    sizes = {key: len(each) for key, each in named.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{key} {size}" for key, size in sizes.items())
        raise UsageError(f"the inputs of {name} have different batch sizes ({listed}); {REMEDY}")
    if count not in sizes.values():
        found = next(iter(sizes.values()))
        raise UsageError(
            f"{count} inputs of {name} were asked for and {found} were returned; {REMEDY}"
        )
    ordered = _in_order(named, module, name) if isinstance(given, Mapping) else named.values()
    return tuple(each.detach().cpu().contiguous() for each in ordered)


def _named(given: Any, name: str) -> dict[str, Any]:
    """The parts of `given` by name or position."""
    if isinstance(given, Mapping):
        named = {str(key): each for key, each in given.items()}
    elif isinstance(given, tuple):
        named = {str(position): each for position, each in enumerate(given)}
    elif _is_tensor(given):
        named = {"0": given}
    else:
        raise UsageError(f"the inputs of {name} are a {type(given).__name__}; {REMEDY}")
    if not named:
        raise UsageError(f"the inputs of {name} are an empty {type(given).__name__}; {REMEDY}")
    return named


def _require_rows(what: str, given: Any) -> None:
    if not _is_tensor(given):
        raise UsageError(f"{what} is a {type(given).__name__}, not a tensor; {REMEDY}")
    if str(given.layout) != "torch.strided":
        raise UsageError(f"{what} is a sparse tensor, which cannot be passed on; make it dense")
    if given.ndim == 0:
        raise UsageError(f"{what} is a single number without a batch dimension; {REMEDY}")


def _is_tensor(given: Any) -> bool:
    import torch

    return isinstance(given, torch.Tensor)


def _in_order(named: Mapping[str, Tensor], module: nn.Module, name: str) -> list[Tensor]:
    """The tensors in the order of the parameters of `forward`."""
    names = ", ".join(named)
    try:
        bound = inspect.signature(module.forward).bind(**named)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"forward of {name} does not take the inputs {names}: {error}; name them as its "
            "parameters, or return a tuple"
        ) from error
    if bound.kwargs:
        raise UsageError(
            f"forward of {name} cannot take the inputs {names} by position, because of "
            f"{', '.join(bound.kwargs)}; leave no parameter before them out, and let none be "
            "keyword-only"
        )
    return list(bound.args)


def size(batch: Batch) -> int:
    """The number of inputs in the batch."""
    return len(batch[0])


def rows(batch: Batch, which: slice) -> Batch:
    """Some inputs of the batch."""
    return tuple(each[which] for each in batch)


def split(batch: Batch, batch_size: int) -> list[Batch]:
    """The inputs in batches of `batch_size`; the last one may be smaller."""
    return list(zip(*(each.split(batch_size) for each in batch), strict=True))


def to_device(batch: Batch, device: str, *, copy: bool = False) -> Batch:
    """The batch on `device`; copy: in memory of its own, even if it is there already."""
    return tuple(each.to(device, copy=copy) for each in batch)


def convert(batch: Batch, dtype: torch.dtype, *, channels_last: bool = False) -> Batch:
    """The batch with its floating-point tensors in `dtype`; other tensors stay as they are.

    channels_last: lay out those with four dimensions, which are images, in that memory format.
    """
    return tuple(_converted(each, dtype, channels_last) for each in batch)


def _converted(tensor: Tensor, dtype: torch.dtype, channels_last: bool) -> Tensor:
    import torch

    if not tensor.is_floating_point():
        return tensor
    images = channels_last and tensor.ndim == 4
    layout = torch.channels_last if images else torch.preserve_format
    return tensor.to(dtype, memory_format=layout)


def kinds(batch: Batch) -> tuple[tuple[torch.Size, torch.dtype], ...]:
    """The shapes and dtypes, by which what was compiled for one batch fits another or does not."""
    return tuple((each.shape, each.dtype) for each in batch)
