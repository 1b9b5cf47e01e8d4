"""Builds torchvision's segmentation, detection and video models without weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models

from .builders import ZeroFills


class Detector(nn.Module):
    """A detector of torchvision, with a batch as its only input and boxes as its only output.

    torchvision's take a list of images, and return losses too when they are scripted.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        """Map images [n, 3, height, width], between 0 and 1, to what is found in each."""
        if torch.jit.is_scripting():
            _, found = self.model(list(images.unbind(0)))
            return found
        answer: list[dict[str, Tensor]] = self.model(list(images.unbind(0)))
        return answer


def build(name: str) -> nn.Module:
    """The model of that name with zeros for its random parameters, in evaluation mode."""
    options: dict[str, Any] = {"weights": None}
    if not name.startswith(("mc3", "mvit", "r2plus1d", "r3d", "s3d", "swin3d")):
        options["weights_backbone"] = None
    with ZeroFills():
        module: nn.Module = models.get_model(name, **options)
    return module.eval()
