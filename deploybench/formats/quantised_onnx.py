"""ONNX files of reduced precision, and the values of their layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..temporary import TemporaryFolder
from .base import CalibratedFormat, Origin
from .onnx import OnnxFile, layer_values, with_outputs


class QuantisedOnnxFile(CalibratedFormat):
    """A file in which QuantizeLinear and DequantizeLinear round values and weights."""

    any_batch_size = False
    positional_outputs = True

    def expose(self, origin: Origin, artifact: Path, target: Path) -> dict[str, int]:
        """Write the file again with the values of its layers as outputs.

        Quantisers drop the notes of torch.onnx, and keep the names of values: the layers are those
        of the file in float32, which is exported once more.
        """
        import onnx

        with TemporaryFolder() as folder:
            exported = folder / "float.onnx"
            OnnxFile().export(origin.module, origin.example, exported)
            original = onnx.load(str(exported), load_external_data=False)
        model = onnx.load(str(artifact))
        values = _Values.of(model.graph, original.graph)
        found = {layer: values.rounded(name) for layer, name in layer_values(original).items()}
        return with_outputs(model, {layer: name for layer, name in found.items() if name}, target)


@dataclass(frozen=True)
class _Values:
    """Where a quantised graph has the values of the original one.

    made: the names of all values. dequantised: what a value becomes by rounding. clipped: the value
    that has taken the place of an activation's, because rounding it clips it in the same way.
    """

    made: frozenset[str]
    dequantised: Mapping[str, str]
    clipped: Mapping[str, str]

    @classmethod
    def of(cls, graph: Any, original: Any) -> _Values:
        """Of two ONNX graphs."""
        made = frozenset(name for node in graph.node for name in node.output)
        taken = {node.input[0]: node.output[0] for node in graph.node if _is(node, "Dequantize")}
        rounds = [node for node in graph.node if _is(node, "Quantize")]
        clipped = {
            node.output[0]: node.input[0]
            for node in original.node
            if node.op_type in ("Relu", "Clip") and node.output[0] not in made
        }
        dequantised = {
            node.input[0]: taken[node.output[0]] for node in rounds if node.output[0] in taken
        }
        return cls(made, dequantised, clipped)

    def rounded(self, name: str) -> str | None:
        """The value as rounded, which leaves the kernel that computes it in int8.

        None if the quantised graph has no such value, or has it only after an activation.
        """
        if name in self.clipped.values():
            return None
        found = self.clipped.get(name, name)
        return self.dequantised.get(found, found) if found in self.made else None


def _is(node: Any, begins: str) -> bool:
    return bool(node.op_type == f"{begins}Linear")
