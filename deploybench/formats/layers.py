"""Finds, in the graph of an exported model, the value that each call of a submodule returns.

Exporters note the modules that an operation belongs to. The operations of one call of a module
follow each other, and what the call returns is the value that operations outside the call use.
Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """An operation of a graph.

    modules: the paths of those that it belongs to, such as `layer1.0`, outermost first; empty if
    the exporter noted none. inputs, outputs: the names of values.
    """

    modules: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def numbered(path: str, call: int) -> str:
    """The name of a module's call: its path, with `@1`, `@2` and so on from the second one on."""
    return path if call == 0 else f"{path}@{call}"


def returned_values(steps: Sequence[Step], returned: Iterable[str]) -> dict[str, str]:
    """The name of the value that each call of a submodule returns, by the call's name.

    steps: in the order in which they run. returned: the values that the model returns. A call none
    of whose values is used outside it, such as a convolution that was folded into its norm, is
    left out.
    """
    known, final = [step for step in steps if step.modules], set(returned)
    found: dict[str, str] = {}
    calls: dict[str, int] = {}
    for path, first, last in _calls(known):
        name = numbered(path, calls.get(path, 0))
        calls[path] = calls.get(path, 0) + 1
        made = [value for step in known[first:last] for value in step.outputs]
        inside = {id(step) for step in known[first:last]}
        outside = (step for step in steps if id(step) not in inside)
        used = {value for step in outside for value in step.inputs} | final
        escaping = [value for value in made if value in used]
        if escaping:
            found[name] = escaping[-1]
    return found


def _calls(steps: Sequence[Step]) -> list[tuple[str, int, int]]:
    """Each call of a module: its path and the steps from the first to before the last."""
    found: list[tuple[str, int, int]] = []
    running: dict[str, int] = {}
    for place in range(len(steps) + 1):
        modules = steps[place].modules if place < len(steps) else ()
        for path in [path for path in running if path not in modules]:
            found.append((path, running.pop(path), place))
        for path in modules:
            if path:
                running.setdefault(path, place)
    return sorted(found, key=lambda call: call[1])
