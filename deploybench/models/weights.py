"""The weights of a model: from a seed, from torchvision, or from a folder of state dicts.

Importing this module imports no torch. No state dict is unpickled freely: torch loads it with
weights_only, which creates only tensors and plain containers and calls nothing that a file names.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from ..errors import FileError, UsageError, first_line, unknown_name
from .model import AS_BUILT, OF_THE_RUN, Model

if TYPE_CHECKING:
    from torch import nn
    from torchvision.models import WeightsEnum

AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
"""The prefixes of the auxiliary classifiers' entries, which deployed models don't have."""


@dataclass(frozen=True)
class WeightSource:
    """Where weights come from.

    label: "random", "pretrained", or the path as the user gave it. path: of a state dict, or of a
    folder of them; None for the other two.
    """

    label: str
    path: Path | None = None

    @property
    def kind(self) -> str:
        """What two runs must have in common. Each case records the digest of its state dict."""
        return self.label if self.path is None else "state dicts"


WORDS = ("random", "pretrained")
"""The sources that are not paths."""
SUFFIXES = (".safetensors", ".pth", ".pt")
"""Of a state dict's file."""
RANDOM = WeightSource("random")


def parse(spec: str) -> WeightSource:
    """The source that "random", "pretrained", or the path of a state dict or a folder means.

    Raises UsageError for anything else.
    """
    if spec in WORDS:
        return WeightSource(spec)
    if spec and ((path := Path(spec)).is_dir() or (path.is_file() and path.suffix in SUFFIXES)):
        return WeightSource(spec, path)
    raise unknown_name(
        "weights", spec, WORDS, ", a state dict (.pth or .safetensors), a folder of state dicts"
    )


def apply(module: nn.Module, model: Model, source: WeightSource, seed: int = 0) -> str | None:
    """Give a module that `model` built its weights, in place.

    seed: of random weights. Returns a digest of the weights from a state dict, which distinguishes
    two files whatever their names; None for other sources. Raises FileError with the file and the
    first fault in it.
    """
    chosen = of_model(model, source)
    if chosen is None:
        return None
    if chosen.path is not None:
        path = _find(chosen.path, model)
        return _digest(load(module, _read(path), path))
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
        named = source.path is not None and (source.path.is_file() or _files(source.path, model))
        return source if named else None
    text = str(model.weights)
    return RANDOM if text == RANDOM.label else WeightSource(text, Path(text))


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
    if files := _files(path, model):
        return files[0]
    stem = model.file_stem
    raise FileError(
        f"no weights for {model.name} in '{path}': "
        f"save its state dict there as {stem}.pth or {stem}.safetensors"
    )


def _files(folder: Path, model: Model) -> list[Path]:
    paths = [folder / f"{model.file_stem}{suffix}" for suffix in SUFFIXES]
    return [path for path in paths if path.exists()]


def _read(path: Path) -> Any:
    """The contents of a weights file. Raises FileError if it cannot be read as one."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, Exception) as error:
        # torch's unpickler may raise any error for bytes that are not a checkpoint.
        raise FileError(f"weights file '{path}' cannot be read: {_first_line(error)}") from error


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
            f"weights of {name} could not be downloaded ({_first_line(error)}); "
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


def load(module: nn.Module, state: Any, path: Path) -> Mapping[str, Any]:
    """Load a state dict from `path` into `module`, as torchvision does; return its entries."""
    entries = _entries(state, path)
    # torch keeps the versions of the layers here; safetensors cannot store them.
    versions = getattr(state, "_metadata", None) or vars(module.state_dict())["_metadata"]
    vars(entries)["_metadata"] = versions
    resize_head(module, entries)
    try:
        missing, unexpected = module.load_state_dict(entries, strict=False)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise FileError(f"weights file '{path}' is for another model: {first}") from error
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    for what, keys in (("lacks", missing), ("has an unknown entry", unexpected)):
        if keys:
            others = f" (and {len(keys) - 1} more)" if len(keys) > 1 else ""
            raise FileError(
                f"weights file '{path}' {what} '{keys[0]}'{others}; is it for another model?"
            )
    return entries


def resize_head(module: nn.Module, entries: Mapping[str, Any]) -> None:
    """Give the last layer as many outputs as a state dict has for it, in place.

    It does nothing if the last layer is not linear or a convolution, or if another tensor of the
    state dict has another shape too, which is then of another model.
    """
    from torch import nn

    own = module.state_dict()
    other = {key for key in own if key in entries and own[key].shape != entries[key].shape}
    layers = [(name, each) for name, each in module.named_modules() if vars(each)["_parameters"]]
    if not (other and layers):
        return
    name, head = layers[-1]
    names = {f"{name}.{part}" if name else part for part in ("weight", "bias")}
    weight = entries.get(f"{name}.weight" if name else "weight")
    if weight is None or not other <= names or not isinstance(head, nn.Linear | nn.Conv2d):
        return
    if weight.shape[1:] != head.weight.shape[1:]:
        return
    outputs = weight.shape[0]
    for part in ("weight", "bias"):
        if (old := getattr(head, part)) is not None:
            setattr(head, part, nn.Parameter(old.new_zeros(outputs, *old.shape[1:])))
    setattr(head, "out_features" if isinstance(head, nn.Linear) else "out_channels", outputs)


def _entries(state: Any, path: Path) -> OrderedDict[str, Any]:
    import torch

    if not isinstance(state, Mapping):
        raise FileError(
            f"weights file '{path}' is not a state dict but contains a {type(state).__name__}"
        )
    entries: OrderedDict[str, Any] = OrderedDict()
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise FileError(
                f"weights file '{path}' is not a state dict: "
                f"its entry {key!r} is a {type(value).__name__}, not a tensor"
            )
        if value.is_floating_point() and not value.isfinite().all():
            raise FileError(f"weights file '{path}' has NaN or infinity in '{key}'")
        if not key.startswith(AUXILIARY):
            # Older densenet checkpoints have a dot here that module names no longer allow.
            key = re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)", r"\1\2", key)
            entries[key] = value
    return entries


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
