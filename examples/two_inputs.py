"""A model of its own with two inputs: a grey image and five measurements."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deploybench import Model


class Scale(nn.Module):
    """Predicts three numbers from an image [n, 1, 64, 64] and measurements [n, 5]."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten()
        )
        self.head = nn.Linear(8 * 4 * 4 + 5, 3)

    def forward(self, image: Tensor, measurements: Tensor) -> Tensor:
        """Predict [n, 3]."""
        return self.head(torch.cat([self.image(image), measurements], dim=1))


def build() -> Scale:
    """The model with its weights; here seeded ones, in real life those you trained."""
    torch.manual_seed(0)
    return Scale()


def inputs(count: int, seed: int) -> dict[str, Tensor]:
    """`count` different inputs, by the names of the parameters of `forward`."""
    random = torch.Generator().manual_seed(seed)
    return {
        "image": torch.rand(count, 1, 64, 64, generator=random),
        "measurements": torch.randn(count, 5, generator=random),
    }


SCALE = Model("scale", build=build, inputs=inputs, task="embedding")
