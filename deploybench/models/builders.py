"""Builds models without weights: quickly, and with logits as their only output."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torchvision import models


class PlainGoogLeNet(models.GoogLeNet):
    """GoogLeNet without auxiliary classifiers; scripted, it returns logits, not a namedtuple."""

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images [n, 3, 224, 224] to logits [n, 1000]."""
        return self._forward(self._transform_input(x))[0]


class PlainInception3(models.Inception3):
    """Inception v3 without auxiliary classifiers; scripted, it returns logits, not a namedtuple."""

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images [n, 3, 299, 299] to logits [n, 1000]."""
        return self._forward(self._transform_input(x))[0]


PLAIN: dict[str, type[nn.Module]] = {"googlenet": PlainGoogLeNet, "inception_v3": PlainInception3}


class ZeroFills(TorchFunctionMode):
    """A context in which random initialisation is replaced by zeros, which is fast.

    A model that is about to get its weights does not need random ones first. Uninitialised memory
    would not do, because torch's trunc_normal_ draws again until all numbers are within its bounds.
    """

    FILLS = frozenset(
        {"uniform_", "normal_", "kaiming_uniform_", "kaiming_normal_", "xavier_uniform_"}
    )

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Fill with zeros if `func` fills with random numbers; otherwise call it."""
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in self.FILLS:
            tensor: Tensor = args[0] if args else kwargs["tensor"]
            with torch.no_grad():
                return tensor.zero_()
        return func(*args, **kwargs)


def build(name: str) -> nn.Module:
    """The model of that name with zeros for its random parameters, in training mode."""
    with ZeroFills():
        if name in PLAIN:
            # torchvision sets transform_input when it loads its own weights.
            return PLAIN[name](aux_logits=False, transform_input=True, init_weights=False)
        module: nn.Module = models.get_model(name, weights=None)
        return module
