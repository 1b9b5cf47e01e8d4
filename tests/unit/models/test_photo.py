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


SHORT, LONG = 3, 4


def tiff(values: np.ndarray, content: bytes, **tags: int) -> bytes:
    """A grey TIFF with tags that Pillow does not write, such as t258=12 for the bits."""
    height, width = values.shape
    entries = {256: (LONG, width), 257: (LONG, height), 258: (SHORT, 8), 259: (SHORT, 1)}
    entries |= {262: (SHORT, 1), 277: (SHORT, 1), 278: (LONG, height), 279: (LONG, len(content))}
    entries |= {int(tag[1:]): (SHORT, number) for tag, number in tags.items()}
    begin = 8 + 2 + 12 * (len(entries) + 1) + 4
    entries[273] = LONG, begin
    rows = [struct.pack("<HHII", tag, kind, 1, n) for tag, (kind, n) in sorted(entries.items())]
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(rows) + bytes(4)
    return head + content


def twelve_bits(values: np.ndarray) -> bytes:
    """Grey values of 8 bits as packed values of 12 bits."""
    first, second = (values[:, each::2].astype(int) * 4095 // 255 for each in (0, 1))
    packed = [first >> 4, (first & 15) << 4 | second >> 8, second & 255]
    return np.stack(packed, axis=-1).astype(np.uint8).tobytes()


def test_grey_values_of_12_bits_are_those_of_8(tmp_path):
    values = np.asarray(GREY)
    (tmp_path / "deep.tif").write_bytes(tiff(values, twelve_bits(values), t258=12))
    said = []
    found = np.asarray(photo.open_photo(tmp_path / "deep.tif", said.append))
    assert np.abs(found[:, :, 0].astype(int) - values).max() <= 1
    assert "12-bit grey values are scaled" in said[0]


def test_values_of_fewer_bits_than_their_file_has_are_refused_as_far_too_dark(opened):
    deep = Image.fromarray(np.asarray(GREY).astype(np.uint16) * 16)
    for name in ("grey.tif", "grey.png"):
        with pytest.raises(FileError, match=r"brightest grey value \d+ where white is 65535"):
            opened(deep, name)
    _, said = opened(PICTURE.point(lambda value: value // 16), "dark.png")
    assert "is nearly black: its brightest value is 15 of 255" in said[0]


def test_signed_values_are_refused(tmp_path):
    values = np.asarray(GREY)
    signed = (values.astype(np.int16) - 128).astype(np.int8)
    (tmp_path / "signed.tif").write_bytes(tiff(values, signed.tobytes(), t339=2))
    with pytest.raises(FileError, match="mode L, with signed values"):
        photo.open_photo(tmp_path / "signed.tif")


def test_a_thumbnail_is_not_taken_for_the_picture_in_silence(tmp_path):
    values = np.asarray(GREY)
    (tmp_path / "raw.dng").write_bytes(tiff(values, values.tobytes(), t254=1))
    said = []
    photo.open_photo(tmp_path / "raw.dng", said.append)
    assert "begins with a thumbnail" in said[0]


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


def test_a_tiff_is_upright_and_that_is_said(opened):
    exif = Image.Exif()
    exif[0x112] = 6
    found, said = opened(PICTURE.transpose(Image.Transpose.ROTATE_90), "photo.tif", exif=exif)
    assert same(found, PICTURE)
    assert "EXIF orientation 6" in said[0]


def with_gamma(picture: Image.Image, gamma: float) -> bytes:
    """A PNG with a gAMA chunk."""
    plain = io.BytesIO()
    picture.save(plain, "PNG")
    chunk = b"gAMA" + struct.pack(">I", round(1e5 * gamma))
    chunk = struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    head, rest = plain.getvalue()[:33], plain.getvalue()[33:]  # the signature and IHDR
    return head + chunk + rest


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_values_of_another_gamma_become_those_of_srgb(tmp_path, mode):
    path, said = tmp_path / "linear.png", []
    path.write_bytes(with_gamma(Image.new(mode, SIZE, (55, 55, 55) if mode == "RGB" else 55), 1.0))
    found = photo.open_photo(path, said.append)
    # Of the light of white 55/255, which sRGB writes as 127.
    assert np.abs(np.asarray(found).astype(int) - 127).max() <= 1
    assert "has a gamma of 1" in said[0]
    said.clear()
    path.write_bytes(with_gamma(PICTURE, 0.45455))
    assert same(photo.open_photo(path, said.append), PICTURE)
    assert not said


def test_a_file_of_layers_is_its_whole_picture(tmp_path, monkeypatch):
    class Layered(Image.Image):
        n_frames = 2
        format = "PSD"

        def seek(self, frame):
            raise EOFError("attempt to seek outside sequence")

    layered = Layered()
    layered.im, layered._mode, layered._size = PICTURE.im, "RGB", SIZE
    said = []
    assert same(photo._rgb(layered, "photo.psd", said.append), PICTURE)
    assert not said
