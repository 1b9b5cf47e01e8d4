"""Tensors in any nesting of tuples, lists and dicts, as models return them. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def flatten(value: Any, path: str = "") -> dict[str, Tensor]:
    """The tensors of `value` by path, in order: "" for a tensor itself, else "0", "boxes", "0.out".

    Raises TypeError for anything other than tensors, tuples, lists and dicts.
    """
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return {path: value}
    found: dict[str, Tensor] = {}
    for key, each in _items(value, path):
        found |= flatten(each, f"{path}.{key}" if path else str(key))
    return found


def map_tensors(function: Callable[[Tensor], Any], value: Any) -> Any:
    """`value` with `function` applied to each tensor."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return function(value)
    if isinstance(value, Mapping):
        return {key: map_tensors(function, each) for key, each in value.items()}
    mapped = [map_tensors(function, each) for _, each in _items(value, "")]
    return mapped if isinstance(value, list) else tuple(mapped)


def concatenate(values: Sequence[Any]) -> Any:
    """The outputs of several batches as one output, joined along the leading dimension."""
    import torch

    first = values[0]
    if isinstance(first, torch.Tensor):
        return torch.cat(list(values))
    if isinstance(first, Mapping):
        return {key: concatenate([value[key] for value in values]) for key in first}
    joined = [concatenate(list(each)) for each in zip(*values, strict=True)]
    return joined if isinstance(first, list) else tuple(joined)


def _items(value: Any, path: str) -> list[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return list(zip(value._fields, value, strict=True))
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    raise TypeError(f"'{path}' is a {type(value).__name__}, not a tensor")
