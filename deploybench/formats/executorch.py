"""ExecuTorch programs, whose operators XNNPACK computes as far as it has them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..batches import Batch
from ..temporary import TemporaryFolder
from . import kept_graphs
from .base import ExportedFormat, Origin, write
from .graph_layers import with_layers
from .inductor import one_kind_of_error
from .pt2e import LAYERS, silence

if TYPE_CHECKING:
    import torch
    from torch import nn

XNNPACK_LAYERS = (
    *("XNNConv2d", "XNNDepthwiseConv2d", "XNNConvTranspose2d", "XNNFullyConnected"),
    *("XNNBatchMatrixMultiply", "XNNScaledDotProductAttention"),
)
"""The nodes of a graph of XNNPACK that are convolutions or matrix products."""


class ExecuTorchProgram(ExportedFormat):
    """torch.export, with as much of the graph as possible left to XNNPACK."""

    suffix = "pte"
    any_batch_size = False
    positional_outputs = True
    packages = ("executorch",)
    extra = "executorch"

    def export(self, module: nn.Module, example: Batch, path: Path) -> None:
        """Export `module` for inputs like `example` and write the program to `path`."""
        import torch

        with one_kind_of_error(), silence(), torch.no_grad():
            write_program(torch.export.export(module, example), path)

    def expose(self, origin: Origin, artifact: Path, target: Path) -> dict[str, int]:
        """Export the module again, with the values of its layers as outputs of its graph."""
        import torch

        with one_kind_of_error(), silence(), torch.no_grad():
            program = torch.export.export(origin.module, origin.example)
            graph, places = with_layers(program, norms_folded=True)
            write_program(torch.export.export(graph, origin.example), target)
        return places

    def forget(self) -> None:
        """Drop what ExecuTorch keeps of the model's graph."""
        kept_graphs.of_executorch()


def write_program(program: torch.export.ExportedProgram, path: Path) -> None:
    """Lower an exported program to XNNPACK and write the result to `path`."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    write(path, lowered.to_executorch().buffer)


def layers_in_int8(path: Path) -> list[bool]:
    """Of each convolution and matrix product of a program, whether it computes in int8.

    One that XNNPACK did not take runs in float32.
    """
    from executorch.exir._serialize import _deserialize_pte_binary

    with silence():
        program = _deserialize_pte_binary(path.read_bytes()).program
    plan = program.execution_plan[0]
    found = []
    for instruction in (each for chain in plan.chains for each in chain.instructions):
        call = instruction.instr_args
        if hasattr(call, "op_index"):
            name = plan.operators[call.op_index].name.removeprefix("aten::")
            found += [False] * (name in LAYERS)
        elif hasattr(call, "delegate_index"):
            data = plan.delegates[call.delegate_index].processed
            found += _in_int8(_graph(bytes(program.backend_delegate_data[data.index].data)))
    return found


def _in_int8(graph: Any) -> Iterator[bool]:
    """Of each convolution and matrix product of a graph of XNNPACK, whether its input is int8."""
    types = {}
    for value in graph["xvalues"]:
        tensor = value["xvalue_union"].get("tensor_value", value["xvalue_union"])
        types[tensor["id_out"]] = tensor["datatype"]
    for node in graph["xnodes"]:
        if node["xnode_union_type"] in XNNPACK_LAYERS:
            about = node["xnode_union"]
            yield types[about.get("input1_id", about.get("query_id", 0))] == "xnn_datatype_qint8"


def _graph(blob: bytes) -> Any:
    """The graph in what ExecuTorch hands to XNNPACK, read by the program that wrote it."""
    from executorch.backends.xnnpack import serialization
    from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import XNNHeader
    from executorch.exir._serialize._flatbuffer import _flatc_decompile

    header = XNNHeader.from_bytes(blob[: XNNHeader.EXPECTED_LENGTH])
    end = header.flatbuffer_offset + header.flatbuffer_size
    schema = Path(serialization.__path__[0]) / "schema.fbs"
    with TemporaryFolder() as folder:
        written = folder / "graph.bin"
        written.write_bytes(blob[header.flatbuffer_offset : end])
        _flatc_decompile(str(folder), str(schema), str(written), ["--raw-binary"])
        # The bounds of an activation may be infinite, which it spells as JSON does not.
        text = re.sub(r": (-?)inf\b", r": \1Infinity", (folder / "graph.json").read_text())
        return json.loads(text)
