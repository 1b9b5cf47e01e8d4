"""The pictures that reduced precision is calibrated with and judged on, in two disjoint halves.

They are those of a user's folder, or crops of the photographs that scikit-image and scikit-learn
carry. Imports no torch.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from ..errors import FileError
from . import photo

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
LABELS = "labels.csv"
"""In a folder of images: a line `FILE,CLASS` for each."""
MOST_TO_CALIBRATE = 128
CROPS_TO_JUDGE = 640
"""Enough for an agreement of 99% with two misses."""
PHOTOGRAPHS = {
    "skimage": (
        *("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "coins.png"),
        *("hubble_deep_field.jpg", "moon.png", "motorcycle_left.png", "rocket.jpg"),
    ),
    "sklearn": ("china.jpg", "flower.jpg"),
}
"""By package. None is twice among them, as the two halves of the stereo pair would be."""
FOLDERS = {"skimage": "data", "sklearn": "datasets/images"}
SMALLEST_CROP = 0.35
"""As a share of the photograph's shorter side."""

Item = TypeVar("Item")
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Picture:
    """A file, or a part of it. box: left, top, right, bottom. label: the class as it is named."""

    path: Path
    sha256: str
    box: Box | None = None
    mirrored: bool = False
    label: str | None = None

    def image(self) -> Image.Image:
        """The picture as upright RGB. Raises FileError as photo.open_photo does."""
        whole = _opened(self.path)
        part = whole if self.box is None else whole.crop(self.box)
        return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.mirrored else part


@dataclass(frozen=True)
class Pictures:
    """Two disjoint halves, drawn by `seed`. source: where they are from, in words."""

    source: str
    seed: int
    calibration: tuple[Picture, ...]
    judging: tuple[Picture, ...]

    @property
    def digest(self) -> str:
        """A sha256 of which picture is in which half, and of their labels."""
        digest = hashlib.sha256()
        for half in (self.calibration, self.judging):
            digest.update(f"{len(half)}\n".encode())
            for each in half:
                line = f"{each.sha256} {each.box} {each.mirrored} {each.label}\n"
                digest.update(line.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


@lru_cache(maxsize=16)
def _opened(path: Path) -> Image.Image:
    """The image of a file. What is done to a picture of many is not said for each."""
    return photo.open_photo(path, lambda _: None)


@cache
def of_folder(folder: Path, seed: int) -> Pictures:
    """The images of a folder and of those within it; copies of one file count once.

    Half of them, but no more than MOST_TO_CALIBRATE, calibrate. The label of an image is its line
    in LABELS or, without that file, the folder within `folder` that it is in. Raises FileError for
    a folder without two different images, and for a LABELS that cannot be used.
    """
    paths = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()
    )
    named = _labels(folder)
    by_content: dict[str, Picture] = {}
    for path in paths:
        inside = path.relative_to(folder)
        label = inside.parts[0] if len(inside.parts) > 1 else None
        if named is not None:
            label = named.get(inside.as_posix())
        sha256 = _sha256(path)
        by_content.setdefault(sha256, Picture(path, sha256, label=label))
    if len(by_content) < 2:
        raise FileError(
            f"--images '{folder}' has {len(by_content)} different images, and two halves need at "
            f"least 2; give a folder of images ({', '.join(sorted(SUFFIXES))})"
        )
    drawn = _shuffled(list(by_content.values()), seed)
    half = min(len(drawn) // 2, MOST_TO_CALIBRATE)
    return Pictures(f"folder {folder.name}", seed, tuple(drawn[:half]), tuple(drawn[half:]))


@cache
def of_packages(seed: int) -> Pictures | None:
    """Random crops of the packages' photographs; None unless all of them are installed.

    Half of the photographs calibrate and the others judge. Each crop is drawn on its own: a
    photograph, a square of at least SMALLEST_CROP of its shorter side, and whether it is mirrored.
    So a bound for the crops is one for all crops of these photographs, and not for other pictures.
    """
    paths = photographs()
    if paths is None:
        return None
    drawn = _shuffled(paths, seed)
    half = len(drawn) // 2
    random = np.random.default_rng([seed, 1])
    halves = (drawn[:half], MOST_TO_CALIBRATE), (drawn[half:], CROPS_TO_JUDGE)
    drawn_crops = [crops(few, count, random) for few, count in halves]
    return Pictures(f"crops of {len(paths)} photographs", seed, *drawn_crops)


def photographs() -> list[Path] | None:
    """The photographs of PHOTOGRAPHS; None unless all of them are installed."""
    found = []
    for package, names in PHOTOGRAPHS.items():
        spec = importlib.util.find_spec(package)
        places = list(spec.submodule_search_locations or ()) if spec else []
        if not places:
            return None
        found += [Path(places[0]) / FOLDERS[package] / name for name in names]
    return found if all(path.is_file() for path in found) else None


def crops(paths: Sequence[Path], count: int, random: np.random.Generator) -> tuple[Picture, ...]:
    """That many random crops, each of any of the photographs, as `of_packages` draws them."""
    return tuple(_crop(paths, random) for _ in range(count))


def _crop(paths: Sequence[Path], random: np.random.Generator) -> Picture:
    path = paths[int(random.integers(len(paths)))]
    width, height = _opened(path).size
    side = round(float(random.uniform(SMALLEST_CROP, 1.0)) * min(width, height))
    left, top = (int(random.integers(whole - side + 1)) for whole in (width, height))
    box = left, top, left + side, top + side
    return Picture(path, _sha256(path), box, bool(random.random() < 0.5))


def _shuffled(given: Sequence[Item], seed: int) -> list[Item]:
    order = np.random.default_rng([seed, 0]).permutation(len(given))
    return [given[place] for place in order]


@lru_cache(maxsize=64)
def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f"image '{path}' cannot be read: {error.strerror}") from error


def _labels(folder: Path) -> Mapping[str, str] | None:
    """The class of each file by LABELS; None without that file."""
    path = folder / LABELS
    if not path.is_file():
        return None
    found: dict[str, str] = {}
    with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            if not row or (number == 1 and row[0].strip().lower() in ("file", "filename", "image")):
                continue
            if len(row) != 2 or not all(field.strip() for field in row):
                raise FileError(f"'{path}', line {number} is not FILE,CLASS; mend it")
            name = Path(row[0].strip()).as_posix()
            if not (folder / name).is_file():
                raise FileError(
                    f"'{path}', line {number} names '{name}', which is not in the folder; mend it"
                )
            found[name] = row[1].strip()
    return found


def class_of(label: str, names: Sequence[str] | None) -> int | None:
    """The number of a class that is given as a number or by one of `names`; None if unknown."""
    if label.isascii() and label.isdigit():
        return int(label)
    return names.index(label) if names is not None and label in names else None


def classes(pictures: Pictures, names: Sequence[str] | None, count: int) -> list[int | None] | None:
    """The class of each picture to judge on; None if they have no labels that mean classes.

    names: of the model's classes, of which there are `count`. Labels that are neither numbers nor
    names mean classes in the order of the alphabet, as torchvision's ImageFolder takes them, if
    there are as many as the model has.
    """
    both = (*pictures.calibration, *pictures.judging)
    labels = sorted({each.label for each in both if each.label is not None})
    known = {label: class_of(label, names) for label in labels}
    if any(number is None for number in known.values()) and len(labels) == count:
        known = {label: place for place, label in enumerate(labels)}
    if not labels or any(number is None or number >= count for number in known.values()):
        return None
    return [None if each.label is None else known[each.label] for each in pictures.judging]
