"""Graphs of torch.export: their layers, as the share in int8 counts them."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from deploybench.formats import exported_int8
from deploybench.formats.base import Calibration
from deploybench.formats.pt2e import layers, quantised


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


class Residual(torch.nn.Module):
    """One activation is called twice, as in torchvision's ResNets."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (torch.nn.Conv2d(4, 4, 3, padding=1) for _ in range(2))
        self.act = torch.nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.act(self.first(x))
        return self.act(x + self.second(x))


def test_a_module_that_is_called_twice_is_quantised():
    pytest.importorskip("torchao")
    module, batch = Residual().eval(), (torch.randn(1, 4, 8, 8),)
    state = {name: each.clone() for name, each in module.state_dict().items()}
    given = Calibration(lambda: iter([batch, batch]), 2, "noise")
    program = quantised(module, batch, given, exported_int8._quantiser())
    names = [str(node.target) for node in program.graph.nodes]
    # The input and what lies between the two, with a scale for each channel of each weight.
    assert sum("quantize_per_tensor" in name and "dequantize" not in name for name in names) >= 2
    assert sum("dequantize_per_channel" in name for name in names) == 2
    kinds = {each.dtype for each in program.state_dict.values() if each.ndim == 4}
    assert kinds == {torch.int8}, "no weights in float32 beside those in int8"
    with torch.no_grad():
        torch.testing.assert_close(program.module()(*batch), module(*batch), atol=0.1, rtol=0)
    assert all(torch.equal(each, state[name]) for name, each in module.state_dict().items())
