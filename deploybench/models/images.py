"""The images that models are run on: a photograph, seeded images, or the user's own image.

Every batch begins with the photograph. Then crops of it (flipped, with shifted colours) alternate
with 1/f noise, whose spectrum falls off like that of natural images (D. J. Field, 1987, "Relations
between the statistics of natural images and the response properties of cortical cells").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import FileError, first_line
from . import photo

PHOTOGRAPH = Path(__file__).parents[1] / "data" / "grace_hopper.jpg"
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


Channels = tuple[float, float, float]
"""A number for each of red, green and blue."""


def batch(
    size: int, count: int = 8, seed: int = 0, mean: Channels = MEAN, std: Channels = STD
) -> Tensor:
    """Distinct normalised images: float32 [count, 3, size, size], the photograph first.

    mean, std: of the normalisation, for pixels between 0 and 1.

    The same arguments give the same bytes on every machine, and a larger count begins with the same
    images: pixels are rounded to 8 bits, as in any image file, before they are normalised in
    float64. Raises RuntimeError if there is not enough memory.
    """
    # Allocated at once, so that a lack of memory is noticed before any work.
    images = torch.empty(count, 3, size, size)
    for index in range(count):
        images[index] = _image(size, seed, index, mean, std)
    return images


@lru_cache(maxsize=16)
def _image(size: int, seed: int, index: int, mean: Channels, std: Channels) -> Tensor:
    """One image of a batch. It must not be changed, because all models share it."""
    random = np.random.default_rng([seed, index])
    if index == 0:
        pixels = _centre_crop(_photograph(), size)
    elif index % 2:
        pixels = _photograph_crop(_photograph(), size, random)
    else:
        pixels = _noise(size, random)
    normalised = (pixels / 255.0 - np.array(mean)) / np.array(std)
    return torch.from_numpy(normalised.transpose(2, 0, 1)).float()


@cache
def _photograph() -> Image.Image:
    with Image.open(PHOTOGRAPH) as photograph:
        photograph.load()
        return photograph


def of_shape(shape: Sequence[int], count: int, seed: int = 0) -> Tensor:
    """Distinct inputs of a shape: float32 [count, *shape].

    For square images with three channels, the images of `batch`; otherwise numbers from a normal
    distribution with mean 0 and deviation 1.
    """
    if len(shape) == 3 and shape[0] == 3 and shape[1] == shape[2]:
        return batch(shape[1], count, seed)
    drawn = [
        np.random.default_rng([seed, index]).standard_normal(tuple(shape), dtype=np.float32)
        for index in range(count)
    ]
    return torch.from_numpy(np.stack(drawn))


def _centre_crop(photograph: Image.Image, size: int) -> np.ndarray:
    """Scale the shorter side to 256/224 of `size` and crop the centre, as for ImageNet."""
    scale = round(size * 256 / 224) / min(photograph.size)
    width, height = (int(side * scale) for side in photograph.size)
    scaled = photograph.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return np.asarray(scaled.crop((left, top, left + size, top + size)))


def _photograph_crop(photograph: Image.Image, size: int, random: np.random.Generator) -> np.ndarray:
    side = int(random.integers(150, 450))
    left, top = (int(random.integers(0, whole - side)) for whole in photograph.size)
    crop = photograph.resize(
        (size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side)
    )
    if random.random() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    contrast = random.uniform(0.5, 1.5, 3)
    brightness = random.uniform(-40.0, 40.0, 3)
    return _to_8_bits(128.0 + contrast * (np.asarray(crop) - 128.0) + brightness)


def _noise(size: int, random: np.random.Generator) -> np.ndarray:
    across, down = np.fft.rfftfreq(size), np.fft.fftfreq(size)[:, None]
    frequency = np.maximum(np.hypot(across, down), 1.0 / size)
    waves = np.fft.rfft2(random.standard_normal((3, size, size))) / frequency
    planes = np.fft.irfft2(waves, s=(size, size))
    planes /= planes.std(axis=(1, 2), keepdims=True)
    # Channels of a natural image are correlated: one plane for the light, two for the colour.
    light, *colour = planes
    red, blue = (light + 0.5 * plane for plane in colour)
    image = np.stack([red, light, blue], axis=-1) * random.uniform(30.0, 60.0)
    return _to_8_bits(image + random.uniform(80.0, 170.0, 3))


def _to_8_bits(pixels: np.ndarray) -> np.ndarray:
    return np.rint(pixels.clip(0.0, 255.0))


def read_image(
    path: Path | str,
    preprocess: Callable[[Image.Image], Tensor] | None = None,
    say: photo.Say = photo.to_stderr,
) -> Tensor:
    """A user's image as input of a model: float32 [3, 224, 224].

    preprocess: takes a PIL image in RGB; None for the article's preprocessing, which scales the
    shorter side to 256, crops the central 224 x 224 and normalises with ImageNet's mean and
    deviation. say: is told what was done to make it RGB. Raises FileError as open_photo does, and
    for an image that cannot be preprocessed.
    """
    image = photo.open_photo(path, say)
    try:
        return (preprocess or preprocessing(224, 224))(image)
    except (MemoryError, RuntimeError, ValueError, ZeroDivisionError) as error:
        raise FileError(
            f"image '{path}' of {image.width} x {image.height} pixels cannot be preprocessed "
            f"({first_line(error)}); crop it"
        ) from error


def preprocessing(height: int, width: int) -> Callable[[Image.Image], Tensor]:
    """ImageNet's way from a PIL image in RGB to float32 [3, height, width].

    It scales the shorter side to 256/224 of the longer one of the input, crops the centre, and
    normalises with ImageNet's mean and deviation.
    """
    from torchvision import transforms

    steps: Callable[[Image.Image], Tensor] = transforms.Compose(
        [
            transforms.Resize(round(max(height, width) * 256 / 224)),
            transforms.CenterCrop((height, width)),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    return steps
