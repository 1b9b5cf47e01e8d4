"""Named tensors and their files of raw values, as cpp/tensors.h reads and writes them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from ..errors import BackendFailed


def named(tensors: Tensor | Sequence[Tensor] | Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by name; unnamed ones by position."""
    if isinstance(tensors, Mapping):
        return dict(tensors)
    ordered = [tensors] if isinstance(tensors, Tensor) else tensors
    return {str(position): tensor for position, tensor in enumerate(ordered)}


def write(path: Path, tensors: Mapping[str, Tensor]) -> list[str]:
    """Write the values of all tensors to one file; their descriptions in the protocol."""
    with path.open("wb") as file:
        for tensor in tensors.values():
            file.write(_bytes(tensor))
    return [_describe(name, tensor) for name, tensor in tensors.items()]


def read(path: Path, described: Sequence[str]) -> dict[str, Tensor]:
    """The tensors of a file by name, in order. Raises BackendFailed if the file is too short."""
    with path.open("rb") as file:
        return dict(_read(file, text) for text in described)


def _describe(name: str, tensor: Tensor) -> str:
    dtype = str(tensor.dtype).removeprefix("torch.")
    return f"{dtype}:{','.join(map(str, tensor.shape))}:{name}"


def _bytes(tensor: Tensor) -> memoryview:
    """The values of a tensor, row by row."""
    return tensor.detach().contiguous().flatten().view(torch.uint8).numpy().data


def _read(file: IO[bytes], described: str) -> tuple[str, Tensor]:
    """The name and the values of the next tensor in the file."""
    dtype_name, shape_text, name = described.split(":", 2)
    dtype = getattr(torch, dtype_name)
    shape = [int(side) for side in shape_text.split(",")] if shape_text else []
    due = math.prod(shape) * dtype.itemsize
    values = bytearray(file.read(due))
    if len(values) != due:
        raise BackendFailed(f"the C++ process returned {len(values)} bytes for {described}")
    if not values:  # frombuffer rejects an empty buffer
        return name, torch.empty(shape, dtype=dtype)
    return name, torch.frombuffer(values, dtype=dtype).reshape(shape)
