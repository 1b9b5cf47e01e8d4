"""Random weights that a model can be checked with: what training would have set is set from data.

A model as it is initialised cannot tell a right backend from a wrong one: heads start at zero,
signals die out or explode with depth, and in a deep net all inputs end up in one direction. So a
seeded model is run once on a few images, and each layer is set as its input arrives:

- a batch norm gets its input's mean and variance, as training's running statistics would;
- a convolution or linear layer that has a bias is scaled and centred to unit variance and zero
  mean, which keeps the inputs apart where there is no batch norm (layer-sequential unit-variance
  initialisation: Mishkin and Matas, 2016, "All you need is a good init");
- the end of a residual branch is damped, so that depth does not amplify rounding (Zhang, Dauphin
  and Ma, 2019, "Fixup initialization");
- the head tells the images apart, and gives every class the same spread over them.

Biases, and the weights and biases of norms, are spread, so that to lose one shows in the logits.
"""

from __future__ import annotations

import inspect
import math
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

BIAS = 0.2
"""Standard deviation of biases, and of norms' weights around 1, where activations have 1."""
DAMPING = 0.3
"""What the end of a residual branch is scaled by."""
LIFT = 0.5
"""Mean that a norm's or a layer's outputs are given, where their deviation is 1.

Rectifiers then pass two thirds of them: few units are off for every image, and a deep net without
shortcuts amplifies rounding by 1.12 a layer instead of 1.21.
"""
SPREAD_OVER_INPUTS = 2.0
"""Standard deviation of each class's logit over the images."""
SPREAD_OVER_CLASSES = 0.5
"""Standard deviation over the classes of the logits' mean over the images."""


SIGNS = np.uint64(0x8000_8000_8000_8000)
"""What turns 64 random bits into the four integers that numpy's Generator makes of them."""
CHUNK = 2**15
"""How many numbers are made at a time: so few that they stay in the processor's cache."""


def randomize(module: nn.Module, images: Tensor, seed: int) -> None:
    """Give a built module weights fit for checking, in place.

    images: float32 [n, 3, height, width], n at least 4, distinct and normalised, of the model's own
    input size; the module runs on them once. The same seed and images give the same weights, on
    other machines as far as `_coarse` says.
    """
    draw = Draw(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            first_guess(name, parameter, draw)
        with Calibration(module.parameters()) as calibration:
            module(images)
        calibration.set_head(draw)


class Draw:
    """Seeded random numbers by name: the same on every machine, whatever was drawn before."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(self, name: str, shape: Iterable[int]) -> Tensor:
        """Float32 numbers with mean 0 and deviation 1 for the tensor of that name.

        They are cubes of uniform numbers: made from integers by multiplication alone, hence the
        same bytes everywhere, quickly drawn, and with tails like trained weights' (kurtosis 3.8).
        """
        numbers = torch.empty(tuple(shape))
        self._fill(name, numbers.view(-1).numpy())
        return numbers

    def into(self, name: str, tensor: Tensor) -> Tensor:
        """Put the same numbers into `tensor`, and return it."""
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
    """Set a parameter as it is before any data is seen, by the last part of its name."""
    numbers, shape = draw.into(name, parameter), parameter.shape
    kind = name.rpartition(".")[2]
    if kind == "layer_scale":
        numbers.mul_(BIAS).add_(1.0).mul_(DAMPING)
    elif kind == "logit_scale":
        numbers.mul_(BIAS).add_(math.log(10.0))
    elif kind in ("class_token", "pos_embedding", "relative_position_bias_table"):
        numbers.mul_(0.5)
    elif kind.endswith("bias"):
        numbers.mul_(BIAS)
    elif len(shape) == 1:
        numbers.mul_(BIAS).add_(1.0)
    else:
        numbers.mul_(math.prod(shape[1:]) ** -0.5)


class Calibration(TorchFunctionMode):
    """Within it, the layers of a module set their weights from what arrives at them.

    It works on torch's functions rather than on modules, since torchvision's transformers hand the
    weights of linear modules to functions.
    """

    ADDITIONS = frozenset({"add", "add_", "__add__", "__radd__", "__iadd__"})
    MOVES = frozenset(
        {"__getitem__", "contiguous", "dropout", "flatten", "permute", "reshape", "roll"}
        | {"squeeze", "transpose", "unsqueeze", "view"}
    )
    """Functions whose output, in evaluation mode, holds their input's numbers."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        super().__init__()
        self._parameters = {id(parameter) for parameter in parameters}
        # Outputs of layers from which nothing was computed yet, with what scales them.
        self._fresh: dict[int, tuple[Tensor, tuple[Tensor, ...]]] = {}
        self._head: tuple[Tensor, Tensor, Tensor | None] | None = None
        self._layers: dict[Callable[..., Any], Callable[..., Any]] = {
            F.batch_norm: self._batch_norm,
            F.layer_norm: self._layer_norm,
            F.linear: self._linear,
            F.conv2d: self._conv2d,
            F.multi_head_attention_forward: self._attention,
        }

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call `func`; where it is a layer, set its weights."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in self.ADDITIONS:
            self._damp(*args[:2])
        if func in self._layers:
            output = self._layers[func](*args, **kwargs)
        else:
            output = func(*args, **kwargs)
        if isinstance(output, Tensor):
            used = [self._fresh.pop(id(tensor), None) for tensor in _tensors(args)]
            if name in self.MOVES and used[0]:
                self._fresh[id(output)] = (output, used[0][1])
        return output

    def _batch_norm(
        self,
        input: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        weight: Tensor,
        bias: Tensor,
        **options: Any,
    ) -> Tensor:
        var, mean = torch.var_mean(input, dim=(0, 2, 3), correction=0)
        # A channel that hardly varies must not be blown up to the size of the others.
        running_var.copy_(_coarse(var.clamp(min=0.01 * var.mean())))
        deviation = running_var.sqrt()
        running_mean.copy_(_steps(mean / deviation).mul_(deviation))
        bias.add_(LIFT)
        output = F.batch_norm(input, running_mean, running_var, weight, bias, **options)
        return self._remember(output, weight, bias)

    def _layer_norm(
        self,
        input: Tensor,
        normalized_shape: list[int],
        weight: Tensor,
        bias: Tensor,
        **options: Any,
    ) -> Tensor:
        output = F.layer_norm(input, normalized_shape, weight, bias, **options)
        return self._remember(output, weight, bias)

    def _linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        self._head = (input, weight, bias)
        return self._centre(F.linear(input, weight, bias), weight, bias)

    def _conv2d(self, input: Tensor, weight: Tensor, bias: Tensor | None, *options: Any) -> Tensor:
        self._head = (input, weight, bias)
        return self._centre(F.conv2d(input, weight, bias, *options), weight, bias, channels=1)

    def _attention(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
        function = F.multi_head_attention_forward
        given = inspect.signature(function).bind(*args, **kwargs).arguments
        output, attention = function(*args, **kwargs)
        return self._centre(output, given["out_proj_weight"], given["out_proj_bias"]), attention

    def _centre(
        self, output: Tensor, weight: Tensor, bias: Tensor | None, channels: int = -1
    ) -> Tensor:
        """Scale a layer to unit variance and move its bias to zero mean, but for the bias's spread.

        output: what the layer gives as it is, with its channels in dimension `channels`; changed in
        place to what it gives then. A layer without a bias of its own is left alone: a norm or
        another linear layer comes after it.
        """
        if bias is None or id(bias) not in self._parameters:
            return output
        others = [d for d in range(output.ndim) if d != channels % output.ndim]
        var, mean = torch.var_mean(output, dim=others, correction=0)
        scale = _coarse(var.mean().rsqrt())
        old = bias * scale
        weight.mul_(scale)
        bias.sub_(_steps(mean * scale - old)).add_(LIFT)
        shift = bias - old
        shape = [-1 if d == channels % output.ndim else 1 for d in range(output.ndim)]
        output.mul_(scale).add_(shift.reshape(shape))
        return self._remember(output, weight, bias)

    def _remember(self, output: Tensor, *parameters: Tensor) -> Tensor:
        self._fresh[id(output)] = (output, parameters)
        return output

    def _damp(self, *terms: Any) -> None:
        """Damp the term of an addition that comes straight from a layer, if the other does not."""
        if not all(isinstance(term, Tensor) for term in terms) or terms[0].shape != terms[1].shape:
            return
        fresh = [self._fresh.pop(id(term), None) for term in terms]
        ends = [end for end in fresh if end is not None]
        if len(ends) == 1:
            output, parameters = ends[0]
            for tensor in (output, *parameters):
                tensor.mul_(DAMPING)

    def set_head(self, draw: Draw) -> None:
        """Set the weights of the last layer that ran, so that its outputs are fit for logits."""
        if self._head is None:
            raise ValueError("no convolution or linear layer ran under the calibration")
        input, weight, bias = self._head
        pooled = input.flatten(2).mean(2) if weight.ndim == 4 else input
        matrix = weight.flatten(1)
        _tell_apart(matrix, pooled)
        logits = pooled @ matrix.T
        matrix.mul_(_coarse(SPREAD_OVER_INPUTS / logits.std(0))[:, None])
        mean = (pooled @ matrix.T).mean(0)
        if bias is None:
            # With no bias to take the mean away, the weights must not see it.
            direction = _coarse(pooled.mean(0))
            matrix.sub_(torch.outer(matrix @ direction, direction / direction.square().sum()))
            return
        bias.copy_(draw("head", bias.shape).mul_(SPREAD_OVER_CLASSES) - _steps(mean))
        if weight.ndim == 4:
            # A ReLU follows (squeezenet): lift all but the lowest pixels above it.
            bias.add_(_coarse(3.0 * F.conv2d(input, weight).std()))


def _tell_apart(matrix: Tensor, features: Tensor) -> None:
    """Change a head's weights [classes, d] so that features [n, d] give logits equally far apart.

    Adds to a random head W the part W F'AF, F being the centred features, with A chosen so that
    F(I + F'AF) has equal singular values, none of them raised more than fivefold.
    """
    centred = features - features.mean(0)
    values, vectors = torch.linalg.eigh(centred.double() @ centred.double().T)
    mean = values.mean()
    values = values.clamp(min=0.04 * mean)
    gains = (mean / values).sqrt() - 1.0
    solution = ((vectors * (gains / values)) @ vectors.T).float()
    matrix.add_(matrix @ centred.T @ solution @ centred)


def _tensors(args: Iterable[Any]) -> Iterator[Tensor]:
    for arg in args:
        if isinstance(arg, Tensor):
            yield arg
        elif isinstance(arg, list | tuple):
            yield from _tensors(arg)


def _coarse(x: Tensor) -> Tensor:
    """Round to 5 significant bits.

    Sums differ in their last bits between machines and numbers of threads; rounded, what is
    calibrated comes out the same, except where it lies on the bound between two roundings.
    """
    mantissa, exponent = torch.frexp(x)
    return torch.ldexp(torch.round(mantissa * 32.0) / 32.0, exponent)


def _steps(x: Tensor) -> Tensor:
    """Round to steps of 1/16 where the deviation is about 1, for the same reason as `_coarse`."""
    return torch.round(x * 16.0) / 16.0
