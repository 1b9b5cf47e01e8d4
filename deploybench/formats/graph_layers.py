"""Makes the values of layers outputs of an exported program's graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .layers import Step, returned_values

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.fx import GraphModule, Node


def with_layers(program: ExportedProgram) -> tuple[GraphModule, dict[str, int]]:
    """The program's module, which returns a flat tuple: its outputs, then the values of its layers.

    Also the place of each layer's value in the tuple, by the name of the layer's call.
    """
    import torch
    from torch.fx.graph import CodeGen

    module = program.module(check_guards=False)
    graph = module.graph
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
    module.recompile()
    order = {name: len(returned) + place for place, name in enumerate(copies)}
    return module, {layer: order[value] for layer, value in values.items()}


def _step(node: Node) -> Step:
    """A node with what torch.export notes: the paths of its modules, outermost first."""
    modules = tuple(path for path, _ in node.meta.get("nn_module_stack", {}).values())
    return Step(modules, tuple(each.name for each in node.all_input_nodes), (node.name,))
