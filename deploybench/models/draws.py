"""The first guess of random weights: seeded numbers by name, the same on every machine."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

BIAS = 0.2
"""The standard deviation of biases, and of norms' weights around 1; activations have 1."""
DAMPING = 0.3
"""The factor that scales the end of a residual branch."""
SIGNS = np.uint64(0x8000_8000_8000_8000)
"""The mask that turns 64 random bits into the four integers that numpy's Generator would draw."""
TOKENS = frozenset(
    {"class_token", "cls_token", "dist_token", "pos_embed", "pos_embedding", "reg_token"}
    | {"relative_position_bias_table"}
)
"""What is added to a transformer's activations: torchvision's and timm's names for it."""
CHUNK = 2**15
"""How many numbers are drawn at a time: few enough to stay in the processor's cache."""


class Draw:
    """Seeded random numbers by name: the same on every machine and in any order."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(self, name: str, shape: Iterable[int]) -> Tensor:
        """Float32 numbers with mean 0 and deviation 1 for the tensor of that name.

        They are cubes of uniform numbers. Computed from integers only by multiplication, they are
        the same bytes everywhere and fast to draw, with tails like those of trained weights
        (kurtosis 3.8).
        """
        numbers = torch.empty(tuple(shape))
        self._fill(name, numbers.view(-1).numpy())
        return numbers

    def into(self, name: str, tensor: Tensor) -> Tensor:
        """Write the same numbers into `tensor`, and return it."""
        if tensor.is_cpu and tensor.is_contiguous() and tensor.dtype == torch.float32:
            self._fill(name, tensor.detach().view(-1).numpy())
            return tensor
        return tensor.copy_(self(name, tensor.shape))

    def _fill(self, name: str, numbers: np.ndarray) -> None:
        seed = [self._seed, zlib.crc32(name.encode())]
        generator = np.random.default_rng(seed).bit_generator
        scratch = np.empty(CHUNK, np.float32)
        for start in range(0, len(numbers), CHUNK):
            part = numbers[start : start + CHUNK]
            square = scratch[: len(part)]
            words = generator.random_raw(-(-len(part) // 4)) ^ SIGNS
            integers = words.astype("<u8", copy=False).view("<i2")[: len(part)]
            np.multiply(integers, np.float32(2.0**-15), out=part)
            np.multiply(part, part, out=square)
            part *= square
            part *= np.float32(math.sqrt(7))


def first_guess(name: str, parameter: Tensor, draw: Draw) -> None:
    """Initialise a parameter before the calibration, by the last part of its name."""
    numbers, shape = draw.into(name, parameter), parameter.shape
    kind = name.rpartition(".")[2]
    if kind in ("layer_scale", "gamma"):
        numbers.mul_(BIAS).add_(1.0).mul_(DAMPING)
    elif kind == "logit_scale":
        numbers.mul_(BIAS).add_(math.log(10.0))
    elif kind in TOKENS:
        numbers.mul_(0.5)
    elif kind.endswith("bias"):
        numbers.mul_(BIAS)
    elif len(shape) == 1:
        numbers.mul_(BIAS).add_(1.0)
    else:
        numbers.mul_(math.prod(shape[1:]) ** -0.5)
