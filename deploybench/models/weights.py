"""The weights of a model: from a seed, from torchvision, or from a folder of state dicts.

weight_files.py reads a file, and state_dicts.py finds the model's state dict in it. Importing this
module imports no torch.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from ..errors import FileError, UsageError, first_line, unknown_name
from . import heads, state_dicts, weight_files
from .model import AS_BUILT, OF_THE_RUN, Model

if TYPE_CHECKING:
    from torch import nn
    from torchvision.models import WeightsEnum


@dataclass(frozen=True)
class WeightSource:
    """Where weights come from.

    label: "random", "pretrained", or the path as the user gave it. path: of a state dict, or of a
    folder of them; None for the other two. entry: which state dict of a file with several.
    """

    label: str
    path: Path | None = None
    entry: str | None = None

    @property
    def kind(self) -> str:
        """What two runs must have in common. Each case records the digest of its state dict."""
        return self.label if self.path is None else "state dicts"


@dataclass(frozen=True)
class Applied:
    """What a state dict gave to a model.

    digest: of the weights, which distinguishes two files whatever their names; None if no file gave
    any. taken: what was taken of which file, in words; None if it is the model's state dict and
    nothing else.
    """

    digest: str | None
    taken: str | None


WORDS = ("random", "pretrained")
"""The sources that are not paths."""
RANDOM = WeightSource("random")


def parse(spec: str) -> WeightSource:
    """The source that "random", "pretrained", or the path of a state dict or a folder means.

    `#ENTRY` behind a path names one of several state dicts in a file. Raises UsageError for
    anything else, and FileError for a file that cannot have weights.
    """
    if spec in WORDS:
        return WeightSource(spec)
    source = _of_path(spec)
    assert source.path is not None
    if spec and source.path.is_dir():
        return source
    weight_files.require_target(source.path)
    if source.path.is_file():
        weight_files.require_weights(source.path)
        return source
    if source.path.exists():
        raise FileError(f"weights file '{source.path}' is not a regular file; name one")
    raise unknown_name(
        "weights", spec, WORDS, ", a state dict (.pth or .safetensors), a folder of state dicts"
    )


def _of_path(spec: str) -> WeightSource:
    path, mark, entry = spec.rpartition("#")
    if mark and path and not Path(spec).exists():
        return WeightSource(spec, Path(path), entry)
    return WeightSource(spec, Path(spec))


def apply(module: nn.Module, model: Model, source: WeightSource, seed: int = 0) -> Applied | None:
    """Give a module that `model` built its weights, in place.

    seed: of random weights. Returns what a state dict gave; None for other sources. Raises
    FileError with the file and the first fault in it.
    """
    chosen = of_model(model, source)
    if chosen is None:
        return _kept(model, source)
    if chosen.path is not None:
        path = _find(chosen.path, model)
        loaded = load(module, weight_files.read(path), path, chosen.entry)
        said = f"weights of {model.name} from '{path}': {loaded.taken}" if loaded.taken else None
        return Applied(_digest(loaded.entries), said)
    if chosen.label == "pretrained":
        load(module, *model.pretrained_state())
    else:
        _randomize(module, model, seed)
    return None


def of_model(model: Model, source: WeightSource) -> WeightSource | None:
    """Where the weights of `model` come from in a run with `source`; None if from its `build`."""
    if model.weights == OF_THE_RUN:
        return source
    if model.weights == AS_BUILT:
        named = source.path is not None and (
            source.path.is_file() or weight_files.of_name(source.path, model.file_stem)
        )
        return source if named else None
    text = str(model.weights)
    return RANDOM if text == RANDOM.label else _of_path(text)


def _kept(model: Model, source: WeightSource) -> Applied | None:
    """Says that a model keeps its own weights, where a folder of the user's has none for it."""
    if source.path is None:
        return None
    stem = model.file_stem
    names = f"{stem}.pth or {stem}.safetensors"
    return Applied(None, f"weights of {model.name} as built: '{source.path}' has no {names}")


def _randomize(module: nn.Module, model: Model, seed: int) -> None:
    from .random_weights import randomize

    try:
        randomize(module, model.arguments(module, 8, seed), seed)
    except Exception as error:
        if model.weights == OF_THE_RUN:
            raise  # a bug: these models are made for it
        raise UsageError(
            f"{model.name} cannot be given random weights ({first_line(error)}); use "
            f"weights='{AS_BUILT}'"
        ) from error


def _digest(entries: Mapping[str, Any]) -> str:
    """A sha256 of the names, dtypes, shapes and bytes of a state dict's tensors."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(entries):
        tensor = entries[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _find(path: Path, model: Model) -> Path:
    """The file of the model's state dict: `path`, or the one of its name in that folder."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise FileError(f"no weights for {model.name}: '{path}' does not exist; give a state dict")
    files = weight_files.of_name(path, model.file_stem)
    if len(files) > 1:
        names = " and ".join(each.name for each in files)
        raise FileError(f"'{path}' has {names} for {model.name}; keep one, or name the file")
    if files:
        weight_files.require_target(files[0])
        return files[0]
    stem = model.file_stem
    raise FileError(
        f"no weights for {model.name} in '{path}': "
        f"save its state dict there as {stem}.pth or {stem}.safetensors"
    )


def download(name: str, weights: WeightsEnum) -> tuple[Any, Path]:
    """The state dict of torchvision's `weights`, and its file in torch's cache.

    name: of the model, for errors. Raises FileError if it cannot be downloaded or is damaged.
    """
    import torch

    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    if path.exists():
        _check_hash(path)
    try:
        state = weights.get_state_dict(
            progress=False, check_hash=True, map_location="cpu", weights_only=True
        )
    except OSError as error:
        raise FileError(
            f"weights of {name} could not be downloaded ({first_line(error)}); "
            f"put {weights.url} into the folder {path.parent}"
        ) from error
    return state, path


def _check_hash(path: Path) -> None:
    """Raise FileError unless the file's sha256 begins with the digits that end its name."""
    expected = re.fullmatch(r".*-([0-9a-f]{8,})", path.stem)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if expected is None or not found.startswith(expected[1]):
        raise FileError(
            f"weights file '{path}' is damaged or not the original: its sha256 begins with "
            f"{found[:8]}; delete it, so that it is downloaded again"
        )


def load(module: nn.Module, state: Any, path: Path, entry: str | None = None) -> state_dicts.Chosen:
    """Load the module's state dict in the contents of the file `path`, as torchvision does.

    entry: the name of the one to take, for files with several.
    """
    chosen = state_dicts.choose(state, module, path, entry)
    entries, taken = chosen.entries, chosen.taken
    place = f"'{path}'" + (f" ({taken})" if taken else "")
    for key, value in entries.items():
        _require_numbers(key, value, place)
    resized = heads.resize(module, entries)
    own = module.state_dict()
    for key, value in entries.items():
        if key in own and value.shape == own[key].shape:
            _require_fitting(key, value, own[key], place)
    try:
        missing, unexpected = module.load_state_dict(entries, strict=False)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise FileError(f"weights file {place} is for another model: {first}") from error
    missing = [key for key in missing if not key.endswith(state_dicts.WITHOUT_NEED)]
    faults = [
        f"{what} '{keys[0]}'" + (f" (and {len(keys) - 1} more)" if len(keys) > 1 else "")
        for what, keys in (("lacks", missing), ("has an unknown entry", unexpected))
        if keys
    ]
    if faults:
        raise FileError(f"weights file {place} {' and '.join(faults)}; is it for another model?")
    said = [taken, resized, _converted(own, entries)]
    return replace(chosen, taken="; ".join(filter(None, said)) or None)


def _require_numbers(key: str, value: Any, place: str) -> None:
    """Raise FileError for a tensor that is not one number after the other in memory."""
    import torch

    if value.is_quantized:
        what = "quantised"
    elif value.device.type == "meta":
        what = "without numbers (on the device 'meta')"
    elif value.layout != torch.strided:
        what = f"of the layout {value.layout}"
    else:
        return
    raise FileError(
        f"weights file {place} has a tensor that is {what}, '{key}'; save dense numbers"
    )


def _require_fitting(key: str, value: Any, own: Any, place: str) -> None:
    """Raise FileError for numbers that are not the weights that the model has there."""
    if own.is_floating_point() and not value.is_floating_point():
        given, wanted = (str(each.dtype).removeprefix("torch.") for each in (value, own))
        raise FileError(
            f"weights file {place} has {given} in '{key}', where the model has {wanted}; "
            f"save them as {wanted}"
        )
    # Some dtypes of eight bits cannot be asked.
    asked = value.float() if value.is_floating_point() and value.itemsize == 1 else value
    if value.is_floating_point() and not asked.isfinite().all():
        raise FileError(f"weights file {place} has NaN or infinity in '{key}'")


def _converted(own: Mapping[str, Any], entries: Mapping[str, Any]) -> str | None:
    """Which dtypes became the model's, in words."""
    dtypes = sorted(
        {
            str(entries[key].dtype).removeprefix("torch.")
            for key in entries.keys() & own.keys()
            if own[key].is_floating_point() and entries[key].dtype != own[key].dtype
        }
    )
    return f"{' and '.join(dtypes)} converted to the model's dtype" if dtypes else None
