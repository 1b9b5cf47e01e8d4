"""A user's image file as upright 8-bit RGB, whatever its mode; imports no torch.

What changes the picture is said, and what has no certain meaning in 8-bit RGB is refused, both in
one line.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageOps

from ..errors import FileError, first_line

BOMB = 1000
"""Pixels for each byte of a file, beyond which a large image is not a photo."""
LONGEST = 200
"""The longer side of a photo in shorter ones. Scaled by its shorter side, a thread would need
gigabytes."""
ORIENTATION = 0x0112
GAMMA = 2.2
"""Of sRGB, nearly: a PNG names the inverse of its own."""
PHOTOMETRIC, SAMPLE_FORMAT, BITS, SUBFILE = 262, 339, 258, 254
"""Tags of TIFF."""
SIGNED, REDUCED = 2, 1
DARK = 4
"""A picture whose brightest value is below white / DARK is not shown as it was meant, or is black.
"""
MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV")
"""The modes whose conversion to 8-bit RGB is defined."""

Say = Callable[[str], None]

# A logger without a handler writes to the terminal.
logging.getLogger("PIL").addHandler(logging.NullHandler())


def to_stderr(note: str) -> None:
    """Print a note where it is not taken for a result."""
    print(note, file=sys.stderr)


def open_photo(path: Path | str, say: Say = to_stderr) -> Image.Image:
    """The image in the file as upright RGB, on white where it is transparent.

    say: is told in one line each what was done to the picture. Raises FileError for a file that is
    missing, damaged, not an image, of a mode without a certain meaning, or too large.
    """
    name = f"image '{path}'"
    notes: list[str] = []
    try:
        with warnings.catch_warnings(), _quiet_libraries():
            warnings.simplefilter("ignore")
            with Image.open(path) as file:
                _require_photo(file, Path(path).stat().st_size, name)
                image = _rgb(file, name, notes.append)
        brightest = int(np.asarray(image).max())
        if brightest < 255 // DARK:
            notes.append(f"is nearly black: its brightest value is {brightest} of 255")
    except FileNotFoundError as error:
        raise FileError(f"{name} does not exist; give the path of an image file") from error
    except FileError:
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        words = str(error) or "there is not enough memory"
        raise FileError(f"{name} is too large: {words}; scale it down first") from error
    except Exception as error:
        # Of a damaged file, Pillow's readers raise whatever they happen to run into.
        raise FileError(
            f"{name} cannot be read ({first_line(error)}); give an image file, for example a JPEG"
        ) from error
    for note in notes:
        say(f"{name} {note}")
    return image


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """A context in which what libtiff and others write to the terminal themselves is dropped."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _require_photo(file: Image.Image, size: int, name: str) -> None:
    """Refuse what would need gigabytes, before any pixel is decoded."""
    if max(file.size) > LONGEST * min(file.size):
        raise FileError(
            f"{name} has {file.width} x {file.height} pixels, more than {LONGEST} to 1; crop it"
        )
    pixels = file.width * file.height
    if pixels > (Image.MAX_IMAGE_PIXELS or pixels) and pixels > BOMB * size:
        raise FileError(
            f"{name} is too large: {file.width} x {file.height} pixels in {size} bytes, which no "
            "photo has; scale it down first"
        )


def _rgb(file: Image.Image, name: str, done: Say) -> Image.Image:
    frames = int(getattr(file, "n_frames", 1))
    # Of a PSD they are its layers, and it opens as the whole picture.
    if frames > 1 and file.format != "PSD":
        done(f"has {frames} frames or pages; the first one is taken")
        file.seek(0)
    # Before the load, which turns a TIFF and drops its orientation; a PNG may have it at its end.
    before = file.getexif().get(ORIENTATION, 1)
    file.load()
    orientation = file.getexif().get(ORIENTATION, before)
    image = ImageOps.exif_transpose(file)
    if orientation in range(2, 9):
        done(f"is turned upright, as its EXIF orientation {orientation} says")
    tags = getattr(file, "tag_v2", {})
    if SIGNED in tags.get(SAMPLE_FORMAT, ()):
        raise FileError(
            f"{name} has the mode {image.mode}, with signed values, whose black and white are not "
            "known; save it as 8-bit RGB or grey"
        )
    if tags.get(SUBFILE, 0) & REDUCED:
        done("begins with a thumbnail, which is taken; to use the picture itself, save it as JPEG")
    if image.mode.startswith("I"):
        return _with_gamma(_scaled(file, image, name, done), file.info, done)
    if image.mode not in MODES:
        raise FileError(
            f"{name} has the mode {image.mode}, which has no certain meaning in 8-bit RGB; save it "
            "as 8-bit RGB or grey"
        )
    flat = _with_gamma(_on_white(image, done), file.info, done)
    return _in_srgb(flat, file.info.get("icc_profile"), done)


def _scaled(file: Image.Image, image: Image.Image, name: str, done: Say) -> Image.Image:
    """Grey values of up to 16 bits in 8. Those of other sizes have no known white."""
    known = image.mode.startswith("I;16") or file.format in ("PNG", "PPM")
    values = np.asarray(image) if known else None
    tags = getattr(file, "tag_v2", {})
    # Pillow leaves 12 bits as they are.
    bits = tags.get(BITS, (16,))[0]
    white = 2**bits - 1
    if (
        values is None
        or tags.get(PHOTOMETRIC) == 0
        or "transparency" in file.info
        or values.min() < 0
        or values.max() > white
    ):
        raise FileError(
            f"{name} has the mode {image.mode}, grey values that are not 0 to 65535 from black to "
            "white; save it as 8-bit grey"
        )
    if values.max() <= white // DARK:
        raise FileError(
            f"{name} has the brightest grey value {values.max()} where white is {white}, as of a "
            "camera of fewer bits; scale its values, or save it as 8-bit grey"
        )
    done(f"has the mode {image.mode}; its {bits}-bit grey values are scaled to 8 bits")
    eight = np.empty(values.shape, np.uint8)
    for row, line in zip(eight, values, strict=True):  # row by row, for the memory
        row[:] = np.rint(line / (white / 255))
    return Image.fromarray(eight).convert("RGB")


def _with_gamma(image: Image.Image, info: Mapping[Any, Any], done: Say) -> Image.Image:
    """The image with a PNG's gamma as that of sRGB; a profile in the file counts more than it."""
    gamma = info.get("gamma")
    if not gamma or "icc_profile" in info or "srgb" in info or abs(GAMMA * gamma - 1) < 0.1:
        return image
    done(f"has a gamma of {gamma:g}; its values are converted to the gamma of sRGB")
    table = [round(255 * (value / 255) ** (1 / (GAMMA * gamma))) for value in range(256)]
    return image.convert("RGB").point(table * 3)


def _on_white(image: Image.Image, done: Say) -> Image.Image:
    """The image without transparency."""
    if not image.has_transparency_data:
        return image
    seen = image.convert("RGBA")
    lowest, _ = seen.getchannel("A").getextrema()
    flat = Image.new("RGB", seen.size, "white")
    flat.paste(seen, mask=seen.getchannel("A"))
    if isinstance(lowest, int | float) and lowest < 255:
        done("is transparent in places; it is put on white")
    return flat


def _in_srgb(image: Image.Image, profile: bytes | None, done: Say) -> Image.Image:
    """The image with the colours of its profile as sRGB's, in RGB."""
    if not profile:
        if image.mode == "CMYK":
            done("has the mode CMYK without a colour profile; its colours are approximate")
        return image.convert("RGB")
    if image.mode not in ("L", "CMYK"):
        image = image.convert("RGB")
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        title = (own.profile.profile_description or "without a name").strip()
        if "sRGB" in title and image.mode != "CMYK":
            return image.convert("RGB")
        converted = ImageCms.profileToProfile(
            image, own, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        done("has a colour profile that does not fit its pixels; the profile is ignored")
        return image.convert("RGB")
    assert converted is not None
    printable = "".join(each for each in title if each.isprintable())
    done(f"has the colour profile '{printable}'; its colours are converted to sRGB")
    return converted
