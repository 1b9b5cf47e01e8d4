"""How a photo is prepared for a model, in one line that is written beside a photo and into a file.

Two lines are equal if the preparations are. Importing this module imports no torch.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .model import Model

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

SUFFIX = ".preprocessing"
"""Of the file beside a prepared photo; cpp/commands.cpp reads it."""
RECORD = "extra/preprocessing"
"""The entry of a TorchScript file; torch.jit.load has it among its extra files."""


def describe(steps: Callable[[Image], Tensor], name: str) -> str:
    """The shape of the input, then how the photo is scaled and normalised.

    name: of the model, which stands for steps of its own.
    """
    from PIL.Image import new

    shape = "x".join(map(str, steps(new("RGB", (320, 320))).shape))
    resized, mean, std = _known(steps)
    if resized is None:
        return f"{shape}; as {name} does it"
    return f"{shape}; {resized}, centre crop; mean {_numbers(mean)}; std {_numbers(std)}"


def _known(steps: Any) -> tuple[str | None, Iterable[float], Iterable[float]]:
    """Resizing in words, mean and deviation of torchvision's steps; None for any others."""
    from torchvision import transforms

    if {"resize_size", "crop_size", "interpolation", "mean", "std"} <= vars(steps).keys():
        return _resized(steps.resize_size, steps.interpolation), steps.mean, steps.std
    parts: list[Any] = list(getattr(steps, "transforms", ()))
    kinds = (transforms.Resize, transforms.CenterCrop, transforms.ToTensor, transforms.Normalize)
    if [type(part) for part in parts] != list(kinds):
        return None, (), ()
    resize, _, _, normalise = parts
    return _resized(resize.size, resize.interpolation), normalise.mean, normalise.std


def _resized(size: Any, interpolation: Any) -> str:
    side = size[0] if isinstance(size, list | tuple) and len(size) == 1 else size
    return f"resize {side} {interpolation.value}"


def _numbers(values: Iterable[float]) -> str:
    return " ".join(f"{each:g}" for each in values)


def write_into(path: Path, model: Model) -> None:
    """Add how a photo is prepared for the model to its TorchScript file.

    Nothing is added for a model that takes no photos.
    """
    if model.task_name != "classification":
        return
    try:
        text = describe(model.preprocessing(), model.name)
    except UsageError:
        return
    with zipfile.ZipFile(path, "a") as archive:
        folder = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{folder}/{RECORD}", text)
