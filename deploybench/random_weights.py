"""Random weights that a model can be checked with: what training would have set is set from data.

A model as it is initialised is no good for telling a right backend from a wrong one: heads start at
zero, signals die out or explode with depth, and in a deep net all inputs end up in one direction.
So a seeded model is run once on a few images, and each layer is set as its input arrives:

- a batch norm gets its input's mean and variance (as training's running statistics would);
- a convolution or linear layer with a bias is scaled and centred to unit variance and zero mean
  (which keeps the inputs apart where there is no batch norm, as layer-sequential unit-variance
  initialisation does: Mishkin and Matas, 2016, "All you need is a good init");
- the last layer of a residual branch is damped, so that depth doesn't amplify rounding (Zhang,
  Dauphin and Ma, 2019, "Fixup initialization");
- the head gives every class the same spread over the inputs.

Biases, and the weights and biases of norms, are spread, so that to lose one shows in the logits.
"""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

BIAS = 0.2
"""Standard deviation of biases, and of norms' weights around 1, where activations have 1."""
DAMPING = 0.4
"""What the end of a residual branch is scaled by."""
SPREAD_OVER_INPUTS = 2.0
"""Standard deviation of each class's logit over the images."""
SPREAD_OVER_CLASSES = 1.0
"""Standard deviation, over the classes, of the logits' mean over the images."""


def randomize(module: nn.Module, images: Tensor, seed: int) -> None:
    """Give a built module weights fit for checking, in place.

    images: float32 [n, 3, height, width], at least 4, distinct and normalised, of the model's input
    size; the module runs on them once. The same seed and images give the same weights; see `_coarse`
    for how far that holds between machines.
    """
    draw = Draw(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(_first_guess(name, parameter, draw))
        with Calibration(module, draw) as calibration:
            module(images)
        calibration.finish()


class Draw:
    """Seeded random numbers by name, the same whatever was drawn before and on every machine."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(self, name: str, shape: Iterable[int]) -> Tensor:
        """Float32 numbers with mean 0 and deviation 1 for the tensor of that name.

        They are cubes of uniform numbers: made from integers by multiplication alone, so the same
        bytes everywhere, faster than normal numbers, and with tails like those of trained weights
        (kurtosis 3.8).
        """
        random = np.random.default_rng([self._seed, zlib.crc32(name.encode())])
        integers = random.integers(-(2**15), 2**15, size=tuple(shape), dtype=np.int16)
        uniform = torch.from_numpy(integers).float().mul_(2.0**-15)
        return uniform.pow_(3).mul_(7**0.5)


def _first_guess(name: str, parameter: Tensor, draw: Draw) -> Tensor:
    """Weights for a parameter before any data is seen."""
    kind = name.rpartition(".")[2]
    numbers = draw(name, parameter.shape)
    if kind == "layer_scale":
        return DAMPING * (1.0 + BIAS * numbers)
    if kind == "logit_scale":
        return np.log(10.0) * (1.0 + BIAS * numbers)
    if kind in ("class_token", "pos_embedding", "relative_position_bias_table"):
        return numbers.mul_(0.5)
    if kind.endswith("bias"):
        return numbers.mul_(BIAS)
    if parameter.ndim == 1:
        return 1.0 + BIAS * numbers
    return numbers.mul_(parameter[0].numel() ** -0.5)


class Calibration(TorchFunctionMode):
    """Within it, the layers of a module set their weights from what arrives at them."""

    MOVES = frozenset(
        ["transpose", "permute", "reshape", "view", "contiguous", "__getitem__", "roll", "squeeze", "unsqueeze", "swapaxes", "dropout", "flatten", "stochastic_depth"]
    )
    """Functions that hand an output on without computing with it."""

    def __init__(self, module: nn.Module, draw: Draw) -> None:
        super().__init__()
        self._names = {id(parameter): name for name, parameter in module.named_parameters()}
        self._draw = draw
        self._ends: dict[int, tuple[Tensor, list[Tensor]]] = {}
        self._last: tuple[Tensor, Tensor, Tensor] | None = None
        self._layers: dict[Callable[..., Any], Callable[..., Tensor]] = {
            F.batch_norm: self._batch_norm,
            F.layer_norm: self._layer_norm,
            F.linear: self._weighted,
            F.conv2d: self._weighted,
            F.multi_head_attention_forward: self._attention,
        }

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        layer = self._layers.get(func)
        if layer is not None:
            return layer(func, *args, **kwargs)
        name = getattr(func, "__name__", "")
        if name in ("add", "__add__", "__iadd__", "add_", "__radd__"):
            self._damp(*args[:2])
        output = func(*args, **kwargs)
        if name in self.MOVES and hasattr(args[0], "branch_end"):
            output.branch_end = args[0].branch_end
        return output

    def _batch_norm(self, func, input, running_mean, running_var, weight, bias, **others) -> Tensor:
        var, mean = torch.var_mean(input, dim=(0, 2, 3), correction=0)
        running_var.copy_(_coarse(var.clamp(min=0.01 * var.mean())))
        running_mean.copy_(_steps(mean / running_var.sqrt()) * running_var.sqrt())
        output = func(input, running_mean, running_var, weight, bias, **others)
        return self._end(output, weight, bias)

    def _layer_norm(self, func, input, normalized_shape, weight, bias, **others) -> Tensor:
        return self._end(func(input, normalized_shape, weight, bias, **others), weight, bias)

    def _weighted(self, func, x, weight, bias=None, *args) -> Tensor:
        output = func(x, weight, bias, *args)
        if id(bias) not in self._names:
            return output
        self._last = (x, weight, bias)
        output = self._centre(output, weight, bias, 1 if func is F.conv2d else -1)
        return self._end(output, weight, bias)

    def _attention(self, func, *args, **kwargs) -> Any:
        bound = inspect.signature(func).bind(*args, **kwargs).arguments
        output, *others = func(*args, **kwargs)
        weight, bias = bound["out_proj_weight"], bound["out_proj_bias"]
        output = self._centre(output, weight, bias, -1)
        return self._end(output, weight, bias), *others

    def _centre(self, output: Tensor, weight: Tensor, bias: Tensor, channels: int) -> Tensor:
        shape = [1] * output.ndim
        shape[channels] = -1
        others = [d for d in range(output.ndim) if d != channels % output.ndim]
        mean = output.mean(dim=others)
        output = output - mean.reshape(shape)
        scale = _coarse(output.square().mean().rsqrt())
        steps = _steps(mean * scale)
        extra = mean * scale - steps
        weight.mul_(scale)
        noise = bias.clone()
        bias.mul_(scale).sub_(steps).add_(noise)
        return output.mul_(scale).add_((extra + noise).reshape(shape))

    def _end(self, output, *parameters):
        output.branch_end = parameters
        return output

    def _damp(self, a, b) -> None:
        ends = [x for x in (a, b) if hasattr(x, "branch_end")]
        for end in ends:
            if (
                len(ends) == 1
                and isinstance(a, Tensor)
                and isinstance(b, Tensor)
                and a.shape == b.shape
            ):
                for parameter in end.branch_end:
                    parameter.mul_(DAMPING)
                end.mul_(DAMPING)
            del end.branch_end

    def finish(self) -> None:
        """Set the head, which is the last layer that was called."""
        assert self._last is not None
        x, weight, bias = self._last
        noise = self._draw("head", bias.shape).mul_(SPREAD_OVER_CLASSES)
        if weight.ndim == 4:
            logits = F.conv2d(x, weight).mean((2, 3))
        else:
            logits = F.linear(x, weight)
        scale = _coarse(SPREAD_OVER_INPUTS / logits.std(0))
        weight.mul_(scale.reshape(-1, *[1] * (weight.ndim - 1)))
        bias.copy_(noise - _steps(logits.mean(0) * scale))
        if weight.ndim == 4:
            pixels = F.conv2d(x, weight).std()
            bias.add_(_coarse(2.5 * pixels))


def _coarse(x: Tensor) -> Tensor:
    """Round to 5 significant bits.

    What is calibrated then comes out the same although sums on other machines, or by other numbers
    of threads, differ in their last bits, except where they straddle a bound between two roundings.
    """
    mantissa, exponent = torch.frexp(x)
    return torch.ldexp(torch.round(mantissa * 32.0) / 32.0, exponent)


def _steps(x: Tensor) -> Tensor:
    """Round to steps of 1/16, for the same reason as `_coarse`, where the deviation is 1."""
    return torch.round(x * 16.0) / 16.0
