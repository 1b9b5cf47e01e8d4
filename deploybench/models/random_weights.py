"""Random weights that make checks meaningful: they are calibrated on data, in place of training.

A freshly initialised model cannot distinguish a right backend from a wrong one: heads start at
zero, signals vanish or explode with depth, and in a deep net all inputs end up in one direction. So
a seeded model is run once on a few images, and each layer is calibrated when its input arrives:

- a batch norm gets its input's mean and variance, like the running statistics of training;
- a convolution or linear layer with a bias is scaled and centred to unit variance and zero mean,
  which keeps the inputs distinct without batch norms (layer-sequential unit-variance
  initialisation: Mishkin and Matas, 2016, "All you need is a good init");
- the end of a residual branch is damped, so that depth does not amplify rounding (Zhang, Dauphin
  and Ma, 2019, "Fixup initialization");
- the head distinguishes the images, and gives every class the same spread over them.

Biases, and the weights and biases of norms, vary, so that losing one changes the logits.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .. import batches
from ..batches import Batch
from ..nested import flatten
from .draws import DAMPING, Draw, first_guess

LIFT = 0.5
"""The mean given to the outputs of a norm or layer, whose deviation is 1.

Rectifiers then pass two thirds of them: few units are off for every image, and a deep net without
shortcuts amplifies rounding by 1.12 per layer instead of 1.21.
"""
SPREAD_OVER_INPUTS = 2.0
"""The standard deviation of each class's logit over the images."""
SPREAD_OVER_CLASSES = 0.5
"""The standard deviation, over the classes, of the logits' mean over the images."""


def randomize(module: nn.Module, batch: Batch, seed: int) -> None:
    """Give a built module weights that make checks meaningful, in place.

    batch: at least 4 distinct inputs; images are normalised and have the model's own input size.
    The module runs on them once, in float32. The same seed and batch give the same weights, also on
    other machines within the limits of `_coarse`.
    """
    draw = Draw(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            first_guess(name, parameter, draw)
        with Calibration(module.parameters()) as calibration:
            output = module(*batches.convert(batch, torch.float32))
        if _is_classifier(output):
            calibration.set_head(draw)


def _is_classifier(output: Any) -> bool:
    """Whether the first tensor has a row for each input: the last layer is then a head.

    What was found in each image, or a value for each pixel, comes from several layers that are
    calibrated like the others.
    """
    return not isinstance(output, list) and next(iter(flatten(output).values())).ndim == 2


class Calibration(TorchFunctionMode):
    """A context in which each layer of a module sets its weights from its input.

    It works on torch's functions, not on modules, because torchvision's transformers pass the
    weights of linear modules to functions.
    """

    ADDITIONS = frozenset({"add", "add_", "__add__", "__radd__", "__iadd__"})
    MOVES = frozenset(
        {"__getitem__", "contiguous", "dropout", "flatten", "permute", "reshape", "roll"}
        | {"squeeze", "transpose", "unsqueeze", "view"}
    )
    """Functions whose output, in evaluation mode, consists of their input's numbers."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        super().__init__()
        self._parameters = {id(parameter) for parameter in parameters}
        # Outputs of layers that were not used yet, with the parameters that scale them.
        self._fresh: dict[int, tuple[Tensor, tuple[Tensor, ...]]] = {}
        self._head: tuple[Tensor, Tensor, Tensor | None] | None = None
        self._layers: dict[Callable[..., Any], Callable[..., Any]] = {
            F.batch_norm: self._batch_norm,
            F.layer_norm: self._layer_norm,
            F.linear: self._linear,
            F.conv2d: partial(self._conv, F.conv2d),
            F.conv3d: partial(self._conv, F.conv3d),
            F.multi_head_attention_forward: self._attention,
        }

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call `func`; if it is a layer, set its weights."""
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
        others = [dim for dim in range(input.ndim) if dim != 1]
        var, mean = torch.var_mean(input, dim=others, correction=0)
        # A channel that hardly varies must not be scaled up to the size of the others.
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

    def _conv(
        self,
        function: Callable[..., Tensor],
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        *options: Any,
        **named: Any,
    ) -> Tensor:
        self._head = (input, weight, bias)
        output = function(input, weight, bias, *options, **named)
        return self._centre(output, weight, bias, channels=1)

    def _attention(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
        function = F.multi_head_attention_forward
        given = inspect.signature(function).bind(*args, **kwargs).arguments
        output, attention = function(*args, **kwargs)
        return self._centre(output, given["out_proj_weight"], given["out_proj_bias"]), attention

    def _centre(
        self, output: Tensor, weight: Tensor, bias: Tensor | None, channels: int = -1
    ) -> Tensor:
        """Scale a layer to unit variance and shift it to zero mean, keeping the bias's spread.

        output: the layer's current output, with its channels in dimension `channels`; changed in
        place to the new output. A layer without its own bias is not changed, because a norm or
        another linear layer follows it.
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
        """Damp the term of an addition that comes directly from a layer, if the other does not."""
        if not all(isinstance(term, Tensor) for term in terms) or terms[0].shape != terms[1].shape:
            return
        fresh = [self._fresh.pop(id(term), None) for term in terms]
        ends = [end for end in fresh if end is not None]
        if len(ends) == 1:
            output, parameters = ends[0]
            for tensor in (output, *parameters):
                tensor.mul_(DAMPING)

    def set_head(self, draw: Draw) -> None:
        """Set the weights of the last layer that ran, so that its outputs are suitable logits."""
        if self._head is None:
            raise ValueError("no convolution or linear layer ran under the calibration")
        input, weight, bias = self._head
        pooled = input.flatten(2).mean(2) if weight.ndim == 4 else input
        matrix = weight.flatten(1)
        _distinguish(matrix, pooled)
        logits = pooled @ matrix.T
        matrix.mul_(_coarse(SPREAD_OVER_INPUTS / logits.std(0))[:, None])
        mean = (pooled @ matrix.T).mean(0)
        if bias is None:
            # Without a bias that removes the mean, the weights must ignore it.
            direction = _coarse(pooled.mean(0))
            matrix.sub_(torch.outer(matrix @ direction, direction / direction.square().sum()))
            return
        bias.copy_(draw("head", bias.shape).mul_(SPREAD_OVER_CLASSES) - _steps(mean))
        if weight.ndim == 4:
            # A ReLU follows (squeezenet): raise all but the lowest pixels above 0.
            bias.add_(_coarse(3.0 * F.conv2d(input, weight).std()))


def _distinguish(matrix: Tensor, features: Tensor) -> None:
    """Change a head's weights [classes, d] so that features [n, d] give logits equally far apart.

    Adds W F'AF to a random head W. F are the centred features, and A is chosen so that F(I + F'AF)
    has equal singular values, none of them raised more than fivefold.
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

    The last bits of sums depend on the machine and the number of threads. After rounding, the
    calibrated values are the same, unless one is at the boundary between two roundings.
    """
    mantissa, exponent = torch.frexp(x)
    return torch.ldexp(torch.round(mantissa * 32.0) / 32.0, exponent)


def _steps(x: Tensor) -> Tensor:
    """Round numbers with a deviation of about 1 to steps of 1/16; see `_coarse` for the reason."""
    return torch.round(x * 16.0) / 16.0
