"""A fingerprint of a module's state, to detect whether something has changed it in place.

It guards against accidents, not against an adversary: tensors are digested by the CRC-32 of each
block. CRC-32 detects any change of up to 32 bits in a row, and misses others with a probability of
2**-32. It takes less than half the time of a cryptographic hash.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

# Large models have one tensor with most of the weights: blocks let the threads share it.
BLOCK_BYTES = 2**22


def state_digest(module: nn.Module) -> str:
    """A fingerprint of `module` and all its submodules, in hexadecimal digits.

    It covers their names, classes, training flags and printed settings, and the name, dtype, shape,
    memory layout, device and bytes of every tensor: parameters, buffers, and plain attributes, also
    in lists, tuples and dicts. It does not cover `requires_grad`, gradients, hooks, and attributes
    that are neither tensors nor printed.
    """
    lines: list[str] = []
    blocks: list[memoryview] = []
    for path, submodule in module.named_modules():
        kind = f"{type(submodule).__module__}.{type(submodule).__qualname__}"
        lines.append(f"{path}: {kind}({submodule.extra_repr()}), training={submodule.training}")
        # Submodules are visited separately.
        own = {name: value for name, value in vars(submodule).items() if name != "_modules"}
        for name, tensor in _tensors(own, path):
            size, strides = list(tensor.shape), list(tensor.stride())
            lines.append(f"{name}: {tensor.dtype}, {size}, {strides}, {tensor.device}")
            blocks += _blocks(tensor)
    checksums = map(str, _checksums(blocks))
    return hashlib.sha256("\n".join([*lines, *checksums]).encode()).hexdigest()


def _tensors(value: object, path: str) -> Iterator[tuple[str, Tensor]]:
    """Every tensor in `value` by path; the order of a dict does not matter."""
    if isinstance(value, Tensor):
        yield path, value.detach()
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from _tensors(value[key], f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from _tensors(each, f"{path}[{index}]")


def _blocks(tensor: Tensor) -> Iterator[memoryview]:
    """The bytes of a tensor, copied only if it has gaps in memory or is on a GPU."""
    memory_order = sorted(range(tensor.ndim), key=tensor.stride, reverse=True)
    whole = tensor.permute(memory_order).cpu().contiguous().view(-1).view(torch.uint8).numpy().data
    for start in range(0, len(whole), BLOCK_BYTES):
        yield whole[start : start + BLOCK_BYTES]


def _checksums(blocks: Sequence[memoryview]) -> list[int]:
    """The CRC-32 of each block, computed in threads, because zlib releases the GIL."""
    threads = torch.get_num_threads()

    def every_nth(first: int) -> list[int]:
        return [zlib.crc32(block) for block in blocks[first::threads]]

    checksums = [0] * len(blocks)
    with ThreadPoolExecutor(threads) as pool:
        for first, found in enumerate(pool.map(every_nth, range(threads))):
            checksums[first::threads] = found
    return checksums
