"""What an output is compared with, and the unit of its error, tensor by tensor.

A reference is computed in float64. The largest absolute difference of eager from it, over all
inputs and elements of a tensor, is the unit of that tensor. A tolerance that the user gives takes
the place of ERROR_LIMIT units.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..nested import flatten

if TYPE_CHECKING:
    from torch import Tensor

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
