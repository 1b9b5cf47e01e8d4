"""A user's image file as upright 8-bit RGB: what is said, and what is refused."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from deploybench.errors import FileError
from deploybench.models import images, photo

SIZE = (90, 60)
PICTURE = Image.open(images.PHOTOGRAPH).convert("RGB").resize(SIZE)
GREY = PICTURE.convert("L")


@pytest.fixture
def opened(tmp_path):
    """Save an image as a file of that name; what it is opened as, and what is said of it."""

    def save_and_open(image, name, **options):
        path = tmp_path / name
        image.save(path, **options)
        said = []
        found = photo.open_photo(path, said.append)
        assert found.mode == "RGB"
        assert all(note.startswith(f"image '{path}' ") and "\n" not in note for note in said)
        return np.asarray(found), said

    return save_and_open


def same(found, expected) -> bool:
    return np.array_equal(found, np.asarray(expected))


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
        (3, Image.Transpose.ROTATE_180),
        (6, Image.Transpose.ROTATE_90),
        (8, Image.Transpose.ROTATE_270),
    ],
)
def test_a_photo_is_upright_whatever_its_exif_orientation(opened, orientation, stored):
    exif = Image.Exif()
    exif[0x112] = orientation
    found, said = opened(PICTURE.transpose(stored), "photo.png", exif=exif)
    assert same(found, PICTURE)
    assert f"EXIF orientation {orientation}" in said[0]


@pytest.mark.parametrize("name", ["grey.png", "grey.tif", "grey.pgm"])
def test_grey_values_of_16_bits_are_those_of_8(opened, name):
    deep = Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257)
    found, said = opened(deep, name)
    assert same(found, GREY.convert("RGB"))
    assert "16-bit grey values are scaled" in said[0]


@pytest.mark.parametrize(
    ("image", "mode"),
    [
        (Image.fromarray(np.asarray(GREY).astype(np.int32) * 257), "I"),
        (Image.fromarray(np.asarray(GREY).astype(np.float32) / 255), "F"),
        (Image.new("LAB", SIZE), "LAB"),
    ],
    ids=["I", "F", "LAB"],
)
def test_a_mode_without_a_certain_meaning_is_refused_by_its_name(opened, image, mode):
    with pytest.raises(FileError, match=f"has the mode {mode},"):
        opened(image, "odd.tif")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_what_is_transparent_is_white_and_its_hidden_colour_unseen(opened, mode):
    if mode in ("P", "PA"):
        hidden, options = Image.new("P", SIZE, 1), {"transparency": 1}
        hidden.putpalette([0, 0, 0, 200, 30, 30])
    else:
        hidden, options = Image.new(mode, SIZE, 0), {}
    found, said = opened(hidden, "hidden.png", **options)
    assert (found == 255).all()
    assert "is put on white" in said[0]


def test_half_transparent_red_is_pink(opened):
    found, _ = opened(Image.new("RGBA", SIZE, (255, 0, 0, 128)), "pink.png")
    assert found[0, 0].tolist() == [255, 127, 127]


def test_a_channel_of_transparency_that_hides_nothing_is_not_worth_a_word(opened):
    found, said = opened(PICTURE.convert("RGBA"), "opaque.png")
    assert same(found, PICTURE)
    assert not said


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif"])
def test_of_an_animation_or_of_pages_the_first_is_taken_and_said(opened, name):
    options = {"lossless": True} if name.endswith("webp") else {}
    next_one = PICTURE.transpose(Image.Transpose.ROTATE_180)
    found, said = opened(PICTURE, name, save_all=True, append_images=[next_one], **options)
    assert np.abs(found.astype(int) - np.asarray(PICTURE).astype(int)).mean() < 10
    assert "has 2 frames or pages; the first one is taken" in said[0]


@pytest.mark.parametrize("mode", ["1", "YCbCr", "CMYK"])
def test_other_modes_become_rgb(opened, mode):
    file = io.BytesIO()
    PICTURE.convert(mode).save(file, "tiff")
    try:
        Image.open(file).load()
    except OSError:
        pytest.skip("this version of Pillow does not read the file that it wrote")
    found, said = opened(PICTURE.convert(mode), "other.tif")
    assert np.abs(found.astype(int) - np.asarray(PICTURE.convert(mode).convert("RGB"))).max() <= 4
    assert bool(said) == (mode == "CMYK")


def test_a_profile_of_srgb_leaves_every_byte(opened):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    found, said = opened(PICTURE, "srgb.png", icc_profile=profile)
    assert same(found, PICTURE)
    assert not said


def test_a_profile_that_does_not_fit_is_said_to_be_ignored(opened):
    found, said = opened(PICTURE, "odd.png", icc_profile=b"no profile")
    assert same(found, PICTURE)
    assert "the profile is ignored" in said[0]


def png(width: int, height: int) -> bytes:
    """A PNG that is all header."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    data = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height", "words"),
    [
        (13_000, 13_000, "pixels in 177 bytes, which no photo has"),
        (60_000, 60_000, "is too large"),
        (100_000, 1, "more than 200 to 1"),
    ],
)
def test_a_small_file_that_needs_gigabytes_is_refused(tmp_path, width, height, words):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(width, height))
    with pytest.raises(FileError, match=words) as caught:
        images.read_image(path)
    assert "\n" not in str(caught.value)


def test_libraries_write_nothing_to_the_terminal(tmp_path, capfd):
    path = tmp_path / "damaged.tif"
    PICTURE.save(path, compression="tiff_lzw")
    whole = bytearray(path.read_bytes())
    whole[60:160] = b"\xff" * 100
    path.write_bytes(whole)
    with pytest.raises(FileError, match="cannot be read"):
        photo.open_photo(path)
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
