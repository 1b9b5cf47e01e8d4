"""A small module for the tests of backends that compile."""

from __future__ import annotations

import torch


class Small(torch.nn.Module):
    """A convolution, its norm and a linear layer: [n, 3, h, w] to [n, 5]."""

    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 8, 3, bias=False)
        self.norm = torch.nn.BatchNorm2d(8)
        self.linear = torch.nn.Linear(8, 5)

    def forward(self, batch):
        return self.linear(self.norm(self.convolution(batch)).relu().mean((2, 3)))
