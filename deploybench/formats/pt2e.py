"""Quantisation of exported graphs by torchao (PT2E), for every format that has int8 so."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..batches import Batch
from .base import Calibration
from .graph_layers import add_outputs, layer_values, norm_after
from .onnx_int8 import quiet

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.fx import Graph, GraphModule, Node

LAYERS = (
    *("conv1d", "conv2d", "conv3d", "convolution", "linear", "addmm", "mm", "bmm", "matmul"),
    *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "baddbmm"),
    "scaled_dot_product_attention",
)
"""The ATen operators that are convolutions or matrix products, by their names."""
ACTIVATIONS = ("relu", "relu6", "hardtanh", "hardswish", "silu", "gelu")
"""Those that a kernel in int8 may compute after a convolution, a matrix product or a sum."""


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

    program: what `quantised` made of `module`. A convolution that a norm was folded into has the
    norm's value and none of its own, so it is left out.
    """
    import torch

    original = torch.export.export(module, example, strict=True).module(check_guards=False)
    graph = program.module(check_guards=False)
    same = _same_nodes(original.graph, graph.graph)
    values = layer_values(original.graph)
    needed = set(values.values())
    rounded = {node: _rounded(value) for node, value in same.items() if node in needed}
    found = {layer: rounded.get(node) for layer, node in values.items()}
    return graph, add_outputs(graph, {layer: node for layer, node in found.items() if node})


def _same_nodes(original: Graph, quantised: Graph) -> dict[Node, Node]:
    """The node of the quantised graph that has the value of each node of the original one.

    Both have their nodes in the same order, without the norms that were folded away and with new
    names. A node is left out if the graphs have not equally many of its operator.
    """
    folded = {norm: node for node in original.nodes if (norm := norm_after(node)) is not None}
    before, after = (
        _by_operator(node for node in graph.nodes if node not in folded)
        for graph in (original, quantised)
    )
    same: dict[Node, Node] = {}
    for name, nodes in before.items():
        if len(nodes) == len(after[name]):
            same.update(zip(nodes, after[name], strict=True))
    for norm, node in folded.items():
        value = same.pop(node, None)
        if value is not None and len(before["batch_norm"]) == len(after["batch_norm"]):
            same[norm] = value
    return same


def _by_operator(nodes: Iterable[Node]) -> defaultdict[str, list[Node]]:
    """The nodes that call each operator, in their order."""
    found: defaultdict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        if node.op == "call_function":
            found[_operator(node)].append(node)
    return found


def _rounded(node: Node) -> Node | None:
    """The value of a node as rounded, so that its kernel stays in int8.

    None if it is rounded only after the activation that follows, in the same kernel.
    """
    if (grid := _grid(node)) is None:
        is_fused = _operator(node) in (*LAYERS, "add") and all(
            _operator(user) in ACTIVATIONS and _grid(user) is not None for user in node.users
        )
        return None if is_fused else node
    [read, *_] = grid.users
    with node.graph.inserting_after(grid):
        return node.graph.node_copy(read)  # the compiler may fuse `read` itself into a kernel


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
    """The name of the ATen operator of a node, in place or not; another text for other nodes."""
    return str(getattr(node.target, "overloadpacket", "")).removeprefix("aten.").removesuffix("_")


@contextmanager
def silence() -> Iterator[None]:
    """A context in which torchao, and what builds on it, neither warns nor logs."""
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
