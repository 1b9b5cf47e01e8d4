"""ONNX files, as torch.onnx writes them."""

from __future__ import annotations

import ast
import contextlib
import io
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..batches import Batch
from .base import ExportedFormat, Origin
from .inductor import one_kind_of_error
from .layers import Step, returned_values

if TYPE_CHECKING:
    from torch import nn


SCOPES = "pkg.torch.onnx.name_scopes"

# ONNX Runtime reports its use to its makers, from a thread of its own, and warns on the terminal
# where it cannot keep an identifier in the home folder. It reads this when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


class OnnxFile(ExportedFormat):
    """One ONNX file including the weights, for inputs of the example's shape."""

    suffix = "onnx"
    any_batch_size = False
    positional_outputs = True
    packages = ("onnx", "onnxscript")
    extra = "onnx"

    def export(self, module: nn.Module, example: Batch, path: Path) -> None:
        """Export `module` for inputs like `example` to `path`."""
        import torch

        with (
            one_kind_of_error(),
            torch.no_grad(),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            program = torch.onnx.export(module, example, dynamo=True, verbose=False)
            assert program is not None
            try:
                program.save(str(path), external_data=False)
            except OSError:
                path.unlink(missing_ok=True)  # a part of it would take the room of others
                raise

    def expose(self, origin: Origin, artifact: Path, target: Path) -> dict[str, int]:
        """Write the file again with the values of its layers as outputs."""
        import onnx

        model = onnx.load(str(artifact))
        return with_outputs(model, layer_values(model), target)


def layer_values(model: Any) -> dict[str, str]:
    """The name of the value that each call of a layer returns, by the call's name; see layers.py.

    model: a file as torch.onnx writes it.
    """
    return returned_values([_step(node) for node in model.graph.node], _names(model.graph.output))


def with_outputs(model: Any, values: Mapping[str, str], target: Path) -> dict[str, int]:
    """Write `model` with more values of its graph as outputs; the place of each, by its key."""
    import onnx

    graph = model.graph
    # The type of a value that has none here is found by the runtime.
    types = {each.name: each for each in graph.value_info}
    for value in dict.fromkeys(values.values()):
        if value not in _names(graph.output):
            graph.output.append(types.get(value, onnx.ValueInfoProto(name=value)))
    onnx.save(model, str(target))
    places = {name: place for place, name in enumerate(_names(graph.output))}
    return {key: places[value] for key, value in values.items()}


def _names(values: Iterable[Any]) -> list[str]:
    return [each.name for each in values]


def _step(node: Any) -> Step:
    """A node with what torch.onnx notes: its modules and, in the end, the operation itself."""
    notes = {each.key: each.value for each in node.metadata_props}
    scopes = ast.literal_eval(notes.get(SCOPES, "[]"))
    return Step(tuple(scopes[:-1]), tuple(node.input), tuple(node.output))
