"""Makes the values of layers outputs of an exported program's graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .layers import Step, returned_values

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.fx import Graph, GraphModule, Node


def with_layers(
    program: ExportedProgram, *, norms_folded: bool = False
) -> tuple[GraphModule, dict[str, int]]:
    """The program's module, which returns a flat tuple: its outputs, then the values of its layers.

    Also the place of each layer's value in the tuple, by the name of the layer's call. A layer may
    share the place of an output. norms_folded: the module is for a compiler that folds a norm into
    the convolution or linear layer before it; the values of these are left out, since as outputs
    they would keep it from doing so.
    """
    module = program.module(check_guards=False)
    values = layer_values(module.graph)
    if norms_folded:
        values = {layer: node for layer, node in values.items() if norm_after(node) is None}
    return module, add_outputs(module, values)


def layer_values(graph: Graph) -> dict[str, Node]:
    """The node whose value each call of a layer returns, by the call's name; see layers.py."""
    nodes = {node.name: node for node in graph.nodes}
    steps = [_step(node) for node in graph.nodes if node.op != "output"]
    returned = (node.name for node in graph.output_node().all_input_nodes)
    return {layer: nodes[name] for layer, name in returned_values(steps, returned).items()}


def norm_after(node: Node) -> Node | None:
    """The batch norm that takes the value of `node`, a convolution or linear layer, and no other.

    None if there is none: such a norm is what is folded into the weights before it.
    """
    users = list(node.users)
    is_layer = str(node.target).startswith(("aten.conv", "aten.linear."))
    is_norm = len(users) == 1 and str(users[0].target).startswith("aten.batch_norm.")
    return users[0] if is_layer and is_norm else None


def add_outputs(module: GraphModule, values: Mapping[str, Node]) -> dict[str, int]:
    """Let `module` return a flat tuple: its outputs, then these nodes of its graph.

    Returns the place of each in the tuple, by its key.
    """
    import torch
    from torch.fx.graph import CodeGen

    graph = module.graph
    output = graph.output_node()
    returned = output.all_input_nodes
    found = [*returned]
    places = {node: place for place, node in enumerate(returned) if list(node.users) == [output]}
    for node in dict.fromkeys(values.values()):
        if node not in places:
            with graph.inserting_after(node):  # an operation in place may change the value later
                found.append(graph.call_function(torch.clone, (node,)))
            places[node] = len(found) - 1
    output.args = (tuple(found),)
    graph.set_codegen(CodeGen())  # in place of the one that gives outputs the model's nesting
    module.recompile()
    return {key: places[node] for key, node in values.items()}


def _step(node: Node) -> Step:
    """A node with what torch.export notes: the paths of its modules, outermost first."""
    modules = tuple(path for path, _ in node.meta.get("nn_module_stack", {}).values())
    return Step(modules, tuple(each.name for each in node.all_input_nodes), (node.name,))
