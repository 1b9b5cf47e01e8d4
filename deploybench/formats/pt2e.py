"""Quantisation of exported graphs by torchao (PT2E), for every format that has int8 so."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..batches import Batch
from .base import Calibration
from .onnx_int8 import quiet

if TYPE_CHECKING:
    import torch
    from torch import nn

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


def _forget_unused(graph: torch.fx.GraphModule) -> None:
    """Drop what the graph does not read: the weights in float32, which a file would keep."""
    read = {node.target for node in graph.graph.nodes if node.op == "get_attr"}
    for name in [name for name, _ in (*graph.named_parameters(), *graph.named_buffers())]:
        if name not in read:
            owner, _, own_name = name.rpartition(".")
            delattr(graph.get_submodule(owner), own_name)


def layers(program: torch.export.ExportedProgram) -> int:
    """How many convolutions and matrix products the graph of `program` has."""
    targets = (str(getattr(node.target, "overloadpacket", "")) for node in program.graph.nodes)
    return sum(target.removeprefix("aten.") in LAYERS for target in targets)


@contextmanager
def silence() -> Iterator[None]:
    """A context in which torchao, and what builds on it, neither warns nor logs."""
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
