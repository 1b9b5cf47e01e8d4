"""A small model of our own, for tests that are about the suite and not about a model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deploybench import Model

CLASSES = 10


class Tiny(nn.Module):
    """Images [n, 3, size, size] to logits [n, 10]; a convolution, a norm and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean(dim=(2, 3)))


class GivesDict(Tiny):
    """The same, with the features beside the logits."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.features(x).mean(dim=(2, 3))
        return {"logits": self.head(features), "features": features}


MODEL = Model("tiny", build=Tiny, inputs=(3, 32, 32), reference="tests.unit.tiny:MODEL")
WITH_DICT = Model("tiny_dict", build=GivesDict, inputs=(3, 32, 32))


def scale_head(module: nn.Module, factor: float) -> None:
    with torch.no_grad():
        module.head.weight.mul_(factor)
        module.head.bias.mul_(factor)
