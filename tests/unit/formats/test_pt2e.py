"""Graphs of torch.export: their layers, as the share in int8 counts them."""

from __future__ import annotations

import gc

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from deploybench.formats import exported_int8
from deploybench.formats.base import Calibration
from deploybench.formats.pt2e import layers, quantised, with_rounded_layers


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


def test_no_weights_outlive_their_quantised_program():
    pytest.importorskip("torchao")
    batch = (torch.randn(1, 4, 8, 8),)
    given = Calibration(lambda: iter([batch, batch]), 2, "noise")

    def quantise():
        module = Residual().eval()
        program = quantised(module, batch, given, exported_int8._quantiser())
        with_rounded_layers(program, module, batch)
        exported_int8.ExportedInt8Program().forget()

    quantise()
    before = live_tensors()
    quantise()
    assert live_tensors() == before


def live_tensors() -> int:
    gc.collect()
    return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())


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


class Normed(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)
        self.act, self.late = torch.nn.ReLU(), torch.nn.BatchNorm2d(4)
        self.last = torch.nn.Conv2d(4, 4, 3)
        self.pool, self.head = torch.nn.AdaptiveAvgPool2d(1), torch.nn.Linear(4, 6)
        with torch.no_grad():
            self.norm.bias.fill_(3.0)  # far from the value of the convolution
            self.late.bias.fill_(-5.0)

    def forward(self, x):
        # Half of it is below zero, so that the activation is not the norm.
        x = self.late(self.act(self.norm(self.conv(x)) - 3))  # no convolution is before `late`
        return self.head(self.pool(self.last(x)).flatten(1))


def test_the_values_of_layers_are_rounded_and_those_of_folded_convolutions_left_out():
    pytest.importorskip("torchao")
    module, batch = Normed().eval(), (torch.randn(1, 3, 32, 32),)
    given = Calibration(lambda: iter([batch, batch]), 2, "noise")
    program = quantised(module, batch, given, exported_int8._quantiser())
    expected = {}
    hooks = [
        each.register_forward_hook(lambda _, __, value, name=name: expected.update({name: value}))
        for name, each in module.named_children()
    ]
    with torch.no_grad():
        output = module(*batch)
        for hook in hooks:
            hook.remove()
        graph, places = with_rounded_layers(program, module, batch)
        values = graph(*batch)
        assert torch.equal(values[0], program.module()(*batch))
    assert set(places) == {"norm", "act", "late", "last", "pool", "head"}
    for name, place in places.items():
        error = (values[place] - expected[name]).abs().max()
        assert error < 0.03 * (expected[name].max() - expected[name].min()), name
    assert len(values[places["late"]].unique()) <= 256 < len(expected["late"].unique())
    assert values[places["head"]].shape == output.shape
