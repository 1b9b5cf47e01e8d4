"""Finds the state dict of a model in what a file of weights contains.

A checkpoint may hold several state dicts among other things, and names may have a prefix.
The only one that fits the model is taken, and what was taken is said.
Importing this module imports no torch.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import FileError, nearest
from . import heads

if TYPE_CHECKING:
    from torch import nn

AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
"""The prefixes of the auxiliary classifiers' entries, which deployed models don't have."""
BOOKKEEPING = re.compile(
    # of torch's averaged models; of tools that count operations, in every layer
    r"n_averaged|(?:.*\.)?total_(?:ops|params)"
    # of training loops that save their state beside the weights
    r"|(?:global_|num_)?(?:epochs?|steps?|iters?|iterations?|updates)|best_\w+|lr|loss"
)
"""The names of single numbers beside the entries of the model, which no layer uses."""
WRAPPERS = re.compile(
    r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\."
)
"""What torch.compile and wrappers of modules put into names, at any depth."""
DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")
"""Older checkpoints of densenet have a dot here that names of modules no longer allow."""
PART_OF_SEQUENCE = re.compile(r"(?:^|\.)\d+\.")
"""In a prefix: the model was one of several steps, such as behind a normalisation."""
DEPTH, PREFIXES = 4, 20
WITHOUT_NEED = ("num_batches_tracked", "_extra_state")
"""The ends of names that a state dict may lack."""


@dataclass(frozen=True)
class Chosen:
    """The state dict of a model.

    entries: by the model's names; with the versions of its layers in `_metadata`. taken: what was
    taken of the file, in words; None if the file is the model's state dict and nothing else.
    """

    entries: OrderedDict[str, Any]
    taken: str | None


@dataclass(frozen=True)
class _Tensors:
    """The tensors of a mapping in a file.

    name: the keys that lead to it, joined by dots. source: the mapping. left: the keys of what else
    the mappings on the way to it contain.
    """

    name: str
    source: Mapping[Any, Any]
    left: tuple[str, ...]

    def entries(self) -> dict[str, str]:
        """The mapping's keys of tensors, by their names without wrappers."""
        keys = [key for key, value in self.source.items() if _is_entry(key, value)]
        plain = {DENSENET.sub(r"\1\2", WRAPPERS.sub("", key)): key for key in keys}
        return plain if len(plain) == len(keys) else {key: key for key in keys}


@dataclass(frozen=True)
class _Candidate:
    """Tensors of a file whose names are those of a model, but for a prefix.

    keys: of the file, by the model's names. unknown: keys with the prefix that are not the model's.
    added: the prefix that the model's names have and the file's do not.
    """

    tensors: _Tensors
    prefix: str
    keys: Mapping[str, str]
    unknown: tuple[str, ...]
    added: str = ""

    @property
    def name(self) -> str:
        """How to name it behind a `#`."""
        return ".".join(filter(None, (self.tensors.name, self.prefix.rstrip(".")))) or "."

    def state(self) -> dict[str, Any]:
        """Its tensors by the model's names."""
        return {own: self.tensors.source[key] for own, key in self.keys.items()}


def choose(contents: Any, module: nn.Module, path: Path, entry: str | None = None) -> Chosen:
    """The state dict of `module` in the contents of the file `path`.

    entry: the name of the one to take, for files with several. Raises FileError if there is none
    or if several fit. What is taken of a file of another model may still lack entries.
    """
    held = list(_held(contents))
    if not held:
        raise FileError(f"weights file '{path}' {_no_tensors(contents)}")
    needed = {key for key in module.state_dict() if not key.endswith(WITHOUT_NEED)}
    found = _candidates(held, module, "")
    complete = [each for each in found if needed <= set(each.keys)]
    if not complete:
        found += _candidates(held, module, _common_prefix(needed))
    if entry is not None:
        found = _named(found, entry, path)
    else:
        found = [each for each in found if not PART_OF_SEQUENCE.search(each.prefix)]
    whole = [each for each in found if needed <= set(each.keys)]
    # The plain state dict of another shape is reported as such, not one of its parts.
    fitting = [each for each in whole if heads.fits(module, each.state())]
    if len(fitting) > 1:
        names = ", ".join(repr(each.name) for each in fitting)
        raise FileError(
            f"weights file '{path}' has {len(fitting)} state dicts that fit: {names}; name the one "
            f"to use: '{path}#{fitting[-1].name}'"
        )
    best = max(fitting or whole or found, key=lambda each: len(each.keys))
    others = tuple(each.prefix for each in complete if each.tensors is best.tensors)
    return _chosen(best, others, module)


def _held(
    contents: Any, name: str = "", above: Sequence[tuple[Mapping[Any, Any], Any]] = ()
) -> Iterator[_Tensors]:
    """All mappings with tensors in what a file contains.

    above: the mappings around `contents`, each with the key of the next one.
    """
    if isinstance(contents, list | tuple):
        contents = dict(enumerate(contents))
    if not isinstance(contents, Mapping):
        return
    if any(_is_entry(key, value) for key, value in contents.items()):
        left = [str(other) for mapping, key in above for other in mapping if other is not key]
        others = [str(key) for key, value in contents.items() if not _is_entry(key, value)]
        yield _Tensors(name, contents, (*left, *others))
    if name.count(".") >= DEPTH:
        return
    for key, value in contents.items():
        if isinstance(value, Mapping | list | tuple):
            yield from _held(value, f"{name}.{key}".lstrip("."), (*above, (contents, key)))


def _is_entry(key: Any, value: Any) -> bool:
    import torch

    return isinstance(key, str) and isinstance(value, torch.Tensor)


def _no_tensors(contents: Any) -> str:
    """Why a file has no state dict."""
    if not isinstance(contents, Mapping):
        return (
            f"is not a state dict but contains a {type(contents).__name__}; save "
            "model.state_dict() instead"
        )
    if not contents:
        return "is an empty state dict; save model.state_dict() after the model is built"
    key, value = next(iter(contents.items()))
    return f"is not a state dict: its entry {key!r} is a {type(value).__name__}, not a tensor"


def _candidates(held: Sequence[_Tensors], module: nn.Module, added: str) -> list[_Candidate]:
    """What has entries of the module, for each prefix. added: of the module's names."""
    own = {WRAPPERS.sub("", key).removeprefix(added): key for key in module.state_dict()}
    found = []
    for tensors in held:
        entries = tensors.entries()
        prefixes: Counter[str] = Counter({"": 0})
        for name in entries:
            parts = name.split(".")
            for count in range(len(parts)):
                if ".".join(parts[count:]) in own:
                    prefixes["".join(f"{part}." for part in parts[:count])] += 1
        for prefix in dict.fromkeys(["", *(each for each, _ in prefixes.most_common(PREFIXES))]):
            inside = {name.removeprefix(prefix): key for name, key in entries.items()
                      if name.startswith(prefix)}  # fmt: skip
            keys = {own[name]: key for name, key in inside.items() if name in own}
            unknown = tuple(key for name, key in inside.items() if name not in own)
            found.append(_Candidate(tensors, prefix, keys, unknown, added))
    return found


def _common_prefix(names: set[str]) -> str:
    """The longest prefix of whole parts that all names share."""
    parts = [name.split(".")[:-1] for name in names]
    shared = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(f"{level[0]}.")
    return "".join(shared)


def _named(found: Sequence[_Candidate], entry: str, path: Path) -> list[_Candidate]:
    """The candidates of a name, or else those within it."""
    exact = [each for each in found if each.name == entry]
    within = [each for each in found if f"{each.name}.".startswith(f"{entry}.")]
    if not (chosen := exact or within):
        names = list(dict.fromkeys(each.name for each in found))
        listed = ", ".join(map(repr, names[:8]))
        raise FileError(
            f"weights file '{path}' has no entry '{entry}'{nearest(entry, names)}; it has {listed}"
        )
    return chosen


def _chosen(best: _Candidate, others: Sequence[str], module: nn.Module) -> Chosen:
    """The state dict of a candidate, with what is unknown in it but not what is needless.

    others: the prefixes of the state dicts that fit in the same mapping.
    """
    tensors, own = best.tensors, module.state_dict()
    names = {key: name for name, key in tensors.entries().items()}
    longer = tuple(each for each in others if len(each) > len(best.prefix))
    outside = [key for key in names if not names[key].startswith(best.prefix)]
    entries = OrderedDict(best.state())
    for key in best.unknown:
        name = names[key].removeprefix(best.prefix)
        counted = tensors.source[key].numel() == 1 and BOOKKEEPING.fullmatch(name)
        needless = name.startswith(AUXILIARY) or counted
        if needless or names[key].startswith(longer):
            outside.append(key)
        else:
            entries[name] = tensors.source[key]
    outside = [key for key in outside if not key.startswith(AUXILIARY) or best.prefix]
    # torch keeps the versions of the layers here; safetensors cannot store them.
    versions = _versions(tensors.source, best) or vars(own)["_metadata"]
    vars(entries)["_metadata"] = versions
    return Chosen(entries, _taken(best, [*tensors.left, *outside], names))


def _versions(source: Any, best: _Candidate) -> dict[str, Any] | None:
    """The versions of layers that a state dict has, by the model's names of them."""
    versions = getattr(source, "_metadata", None)
    if not isinstance(versions, Mapping) or best.added:
        return None
    plain = {WRAPPERS.sub("", f"{name}." if name else ""): each for name, each in versions.items()}
    return {
        name.removeprefix(best.prefix).rstrip("."): each
        for name, each in plain.items()
        if name.startswith(best.prefix)
    }


def _taken(best: _Candidate, left: Sequence[str], names: Mapping[str, str]) -> str | None:
    """What was taken of a file, in words; None if all of it as it is."""
    words = []
    if best.tensors.name:
        words.append(f"its entry '{best.tensors.name}'")
    if best.prefix:
        words.append(f"names without the prefix '{best.prefix}'")
    if best.added:
        words.append(f"names with the prefix '{best.added}' added")
    wrapped = (WRAPPERS.search(key) for key in best.keys.values() if names[key] != key)
    if found := next(filter(None, wrapped), None):
        words.append(f"names without '{found[0]}'")
    if left:
        shown = ", ".join(map(repr, left[:4]))
        more = f" and {len(left) - 4} more" if len(left) > 4 else ""
        words.append(f"not {shown}{more}")
    return "; ".join(words) or None
