"""torch.export: the exported program, loaded from its archive and called from Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..formats.exported import ExportedProgramFile, load_program
from ..formats.layers import Step, returned_values
from .base import Backend, Observed
from .session import InProcessSession

if TYPE_CHECKING:
    from torch import nn
    from torch.fx import Node


class Exported(Backend):
    """The graph of ATen operators, run by Python as torch.export gives it; nothing is compiled."""

    name = "exported"
    title = "torch.export"
    order = 98
    format = ExportedProgramFile

    def load(self, module: nn.Module, artifact: Path | None) -> InProcessSession:
        """Load the archive."""
        assert artifact is not None
        return InProcessSession(load_program(artifact).module(), self.settings)

    def observed(self, module: nn.Module, artifact: Path | None, folder: Path) -> Observed:
        """Load the archive, with the values of its layers as outputs of its graph."""
        import torch
        from torch.fx.graph import CodeGen

        assert artifact is not None
        loaded = load_program(artifact).module()
        graph = loaded.graph
        output = graph.output_node()
        returned = output.all_input_nodes
        steps = [_step(node) for node in graph.nodes if node is not output]
        values = returned_values(steps, (each.name for each in returned))
        copies: dict[str, Node] = {}
        for node in [each for each in graph.nodes if each.name in values.values()]:
            with graph.inserting_after(node):  # an operation in place may change the value later
                copies[node.name] = graph.call_function(torch.clone, (node,))
        output.args = (tuple([*returned, *copies.values()]),)
        graph.set_codegen(CodeGen())  # in place of the one that gives outputs the model's nesting
        loaded.recompile()
        order = {name: len(returned) + place for place, name in enumerate(copies)}
        places = {layer: order[value] for layer, value in values.items()}
        return Observed(InProcessSession(loaded, self.settings, positional=True), places)


def _step(node: Node) -> Step:
    """A node with what torch.export notes: the paths of its modules, outermost first."""
    modules = tuple(path for path, _ in node.meta.get("nn_module_stack", {}).values())
    return Step(modules, tuple(each.name for each in node.all_input_nodes), (node.name,))
