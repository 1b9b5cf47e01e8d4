"""Quantisation of exported graphs by torchao (PT2E), for every format that has int8 so."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..batches import Batch
from .base import Calibration
from .graph_layers import add_outputs, layer_values, norm_after
from .onnx_int8 import quiet

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.fx import GraphModule, Node

LAYERS = (
    *("conv1d", "conv2d", "conv3d", "convolution", "linear", "addmm", "mm", "bmm", "matmul"),
    *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "baddbmm"),
    "scaled_dot_product_attention",
)
"""The ATen operators that are convolutions or matrix products, by their names."""


def quantised(
    module: nn.Module, example: Batch, calibration: Calibration, quantiser: Any
) -> torch.export.ExportedProgram:
    """The graph of `module`, calibrated, with int8 weights and the grids of its activations.

    quantiser: of torchao, says which operators get a grid and of what kind.
    """
    import torch
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    with torch.no_grad():
        # Strict export tells apart the calls of one module, such as an activation used twice.
        graph = torch.export.export(module, example, strict=True).module()
        prepared = prepare_pt2e(graph, quantiser)
        for batch in calibration.batches():
            prepared(*batch)
        graph = convert_pt2e(prepared)
        _forget_unused(graph)
        return torch.export.export(graph, example)


def with_rounded_layers(
    program: torch.export.ExportedProgram, module: nn.Module, example: Batch
) -> tuple[GraphModule, dict[str, int]]:
    """The module of `program`, as `with_layers` gives it; the values of its layers are as rounded.

    program: what `quantised` made of `module`. Quantising folds norms into the convolutions before
    them, so that the value of such a convolution is that of the norm.
    """
    import torch

    original = torch.export.export(module, example, strict=True).module(check_guards=False)
    graph = program.module(check_guards=False)
    nodes = {node.name: node for node in graph.graph.nodes}
    found = {}
    for layer, node in layer_values(original.graph).items():
        norm = norm_after(node)
        if norm is not None and norm.name not in nodes:
            continue
        name = node.name if node.name in nodes else node.all_input_nodes[0].name
        value = _rounded(nodes[name]) if name in nodes else None
        if value is not None:
            found[layer] = value
    return graph, add_outputs(graph, found)


def _rounded(node: Node) -> Node | None:
    """The value of a node as rounded, which leaves the kernel that computes it in int8.

    None if it is rounded only after the operation that follows, in the same kernel.
    """
    if (grid := _grid(node)) is None:
        next_grids = [_grid(user) for user in node.users]
        is_fused = _operator(node) in (*LAYERS, "add") and None not in next_grids
        return None if is_fused else node
    [read, *_] = grid.users
    with node.graph.inserting_after(grid):
        return node.graph.node_copy(read)  # a kernel may take the place of the other one


def _grid(node: Node) -> Node | None:
    """The node that rounds the value of `node` to a grid of 8 bits, if there is one."""
    rounds = "quantized_decomposed.quantize_per_tensor"
    return next((each for each in node.users if str(each.target).startswith(rounds)), None)


def _forget_unused(graph: torch.fx.GraphModule) -> None:
    """Drop what the graph does not read: the weights in float32, which a file would keep."""
    read = {node.target for node in graph.graph.nodes if node.op == "get_attr"}
    for name in [name for name, _ in (*graph.named_parameters(), *graph.named_buffers())]:
        if name not in read:
            owner, _, own_name = name.rpartition(".")
            delattr(graph.get_submodule(owner), own_name)


def layers(program: torch.export.ExportedProgram) -> int:
    """How many convolutions and matrix products the graph of `program` has."""
    return sum(_operator(node) in LAYERS for node in program.graph.nodes)


def _operator(node: Node) -> str:
    """The name of the ATen operator of a node; another text for any other node."""
    return str(getattr(node.target, "overloadpacket", "")).removeprefix("aten.")


@contextmanager
def silence() -> Iterator[None]:
    """A context in which torchao, and what builds on it, neither warns nor logs."""
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
