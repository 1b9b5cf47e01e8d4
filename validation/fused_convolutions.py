"""Puts a convolution, its norm, what is added to it and its ReLU into one kernel of cuDNN."""

from __future__ import annotations

import operator
from collections.abc import Mapping

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.optimization import fuse

ADDS = (operator.add, operator.iadd, torch.add)
RELUS = (torch.relu, nn.functional.relu)


class FusedConvolution(nn.Module):
    """A convolution and a ReLU, and if `added` is given, its sum with that before the ReLU."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.weight = convolution.weight
        bias = convolution.bias
        if bias is None:
            bias = nn.Parameter(self.weight.new_zeros(self.weight.shape[0]), requires_grad=False)
        self.bias = bias
        self.places = convolution.stride, convolution.padding, convolution.dilation
        self.groups = convolution.groups

    def forward(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        """Images [batch, channels, height, width] to images."""
        given = (self.bias, *self.places, self.groups)
        if added is None:
            found: Tensor = torch.ops.aten.cudnn_convolution_relu(x, self.weight, *given)
        else:
            found = torch.ops.aten.cudnn_convolution_add_relu(x, self.weight, added, 1.0, *given)
        return found


def with_fused_convolutions(module: nn.Module) -> fx.GraphModule:
    """A copy of `module` with the norms folded and as many such kernels as it has ReLUs for."""
    traced = fuse(module)
    modules = dict(traced.named_modules())
    for node in [each for each in traced.graph.nodes if _is_relu(each, modules)]:
        before = node.args[0]
        convolution, added = _convolution(before, modules), None
        is_sum = before.target in ADDS and len(before.args) == 2 and not before.kwargs
        if convolution is None and is_sum and len(before.users) == 1:
            sides = [(one, other) for one, other in (before.args, before.args[::-1])]
            found = [pair for pair in sides if _convolution(pair[0], modules) is not None]
            convolution, added = found[0] if found else (None, None)
        if convolution is None:
            continue
        name = f"fused_{convolution.name}"
        traced.add_submodule(name, FusedConvolution(modules[convolution.target]))
        with traced.graph.inserting_before(node):
            given = convolution.args if added is None else (*convolution.args, added)
            node.replace_all_uses_with(traced.graph.call_module(name, given))
        traced.graph.erase_node(node)
        if added is not None:
            traced.graph.erase_node(before)
        traced.graph.erase_node(convolution)
    traced.graph.lint()
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced


def _is_relu(node: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    is_module = node.op == "call_module" and type(modules[str(node.target)]) is nn.ReLU
    return is_module or (node.op == "call_function" and node.target in RELUS)


def _convolution(node: object, modules: Mapping[str, nn.Module]) -> fx.Node | None:
    """The node, if it is a convolution whose value nothing else takes."""
    if not isinstance(node, fx.Node) or node.op != "call_module" or len(node.users) != 1:
        return None
    return node if isinstance(modules[str(node.target)], nn.Conv2d) else None
