"""Gives a model as many outputs as a state dict has for it. Importing this imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def fits(module: nn.Module, entries: Mapping[str, Any]) -> bool:
    """Whether a state dict has the shapes of a module, but for its number of outputs."""
    return not _others(module, entries) or bool(_resizable(module, entries))


def resize(module: nn.Module, entries: Mapping[str, Any]) -> str | None:
    """Give the last layer as many outputs as a state dict has for it, in place; say so in words.

    A layer beside it with as many outputs, such as an auxiliary classifier, is treated alike.
    It does nothing if these layers are not linear or convolutions, or if another tensor of the
    state dict has another shape too, which is then of another model.
    """
    from torch import nn

    layers = _resizable(module, entries)
    for layer, outputs in layers.values():
        for part in ("weight", "bias"):
            if (old := getattr(layer, part)) is not None:
                new = nn.Parameter(old.new_zeros(outputs, *old.shape[1:]), old.requires_grad)
                setattr(layer, part, new)
        kind = "out_features" if isinstance(layer, nn.Linear) else "out_channels"
        before = getattr(layer, kind)
        setattr(layer, kind, outputs)
    if not layers:
        return None
    return f"{outputs} outputs in {', '.join(map(repr, layers))} instead of {before}"


def _others(module: nn.Module, entries: Mapping[str, Any]) -> set[str]:
    """The names of the tensors that have another shape in a state dict."""
    own = module.state_dict()
    return {key for key in own if key in entries and own[key].shape != entries[key].shape}


def _resizable(module: nn.Module, entries: Mapping[str, Any]) -> dict[str, tuple[Any, int]]:
    """The layers that explain all other shapes, with their outputs; empty if there are none."""
    from torch import nn

    others = _others(module, entries)
    layers = {name: each for name, each in module.named_modules() if vars(each)["_parameters"]}
    affected = {name.rpartition(".")[0] for name in others}
    if not others or list(layers)[-1] not in affected:
        return {}
    found: dict[str, tuple[Any, int]] = {}
    counts = set()
    for name in sorted(affected):
        layer = layers.get(name)
        weight = entries.get(f"{name}.weight" if name else "weight")
        if weight is None or not isinstance(layer, nn.Linear | nn.Conv2d):
            return {}
        if weight.shape[1:] != layer.weight.shape[1:] or not weight.shape[0]:
            return {}
        bias = entries.get(f"{name}.bias" if name else "bias")
        if layer.bias is not None and (bias is None or bias.shape != weight.shape[:1]):
            return {}
        # A shape that its file does not have the numbers for could need any amount of memory.
        if weight.untyped_storage().nbytes() < weight.numel() * weight.element_size():
            return {}
        counts.add((layer.weight.shape[0], weight.shape[0]))
        found[name] = layer, weight.shape[0]
    return found if len(counts) == 1 else {}
