"""Graphs of torch.export: their layers, as the share in int8 counts them."""

from __future__ import annotations

import torch
from torch.nn.functional import scaled_dot_product_attention

from deploybench.formats.pt2e import layers


class Mixed(torch.nn.Module):
    """Five convolutions and matrix products, and what is none."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 4, 3)
        self.transposed = torch.nn.ConvTranspose2d(4, 4, 3)
        self.norm = torch.nn.BatchNorm2d(4)
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x):
        x = self.norm(self.transposed(self.convolution(x))).relu().mean(2)
        x = self.linear(x.transpose(1, 2))
        return scaled_dot_product_attention(x, x, x) @ x.transpose(1, 2)


def test_convolutions_and_matrix_products_are_layers_and_nothing_else():
    program = torch.export.export(Mixed().eval(), (torch.ones(1, 3, 8, 8),))
    assert layers(program) == 5
