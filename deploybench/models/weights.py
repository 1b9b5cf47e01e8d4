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

from ..errors import FileError, unknown_name
from .model import AS_BUILT, Model

if TYPE_CHECKING:
    from torch import nn
    from torchvision.models import WeightsEnum

AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
"""The prefixes of the auxiliary classifiers' entries, which deployed models don't have."""


@dataclass(frozen=True)
class WeightSource:
    """Where weights come from.

    label: "random", "pretrained", or the folder as the user gave it. folder: of the state dicts;
    None for the other two.
    """

    label: str
    folder: Path | None = None

    @property
    def kind(self) -> str:
        """What two runs must have in common. Each case records the digest of its state dict."""
        return self.label if self.folder is None else "state dicts"


RANDOM = WeightSource("random")


def parse(spec: str) -> WeightSource:
    """The source that "random", "pretrained" or the path of a folder means.

    Raises UsageError for anything else.
    """
    if spec in ("random", "pretrained"):
        return WeightSource(spec)
    if spec and (folder := Path(spec)).is_dir():
        return WeightSource(spec, folder)
    raise unknown_name("weights", spec, ("random", "pretrained"), ", a folder of state dicts")


def apply(module: nn.Module, model: Model, source: WeightSource, seed: int = 0) -> str | None:
    """Give a module that `model` built its weights, in place.

    seed: of random weights. Returns a digest of the weights from a folder, which distinguishes two
    files whatever their names; None for other sources. Raises FileError with the file and the first
    fault in it.
    """
    if model.weights == AS_BUILT:
        return None
    if source.folder is not None:
        path = _find(source.folder, model.name)
        return _digest(load(module, _read(path), path))
    if source.label == "pretrained":
        load(module, *model.pretrained_state())
        return None
    from .random_weights import randomize

    randomize(module, model.arguments(module, 8, seed), seed)
    return None


def _digest(entries: Mapping[str, Any]) -> str:
    """A sha256 of the names, dtypes, shapes and bytes of a state dict's tensors."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(entries):
        tensor = entries[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _find(folder: Path, name: str) -> Path:
    for suffix in (".safetensors", ".pth"):
        if (path := folder / f"{name}{suffix}").exists():
            return path
    raise FileError(
        f"no weights for {name} in '{folder}': "
        f"save its state dict there as {name}.pth or {name}.safetensors"
    )


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
