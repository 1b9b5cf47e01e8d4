"""The images that every backend gets, and a user's own."""

from __future__ import annotations

import hashlib

import pytest
import torch
from PIL import Image

from deploybench.errors import FileError
from deploybench.models import images

DIGEST = "75532619cf09ea8d374e538424031650a01107c9b2b44959ca83a99e8996413a"


def test_a_batch_is_distinct_normalised_float32():
    batch = images.batch(224, 8)
    assert batch.shape == (8, 3, 224, 224)
    assert batch.dtype == torch.float32
    assert batch.isfinite().all()
    assert batch.abs().max() < 3
    distances = torch.cdist(batch.flatten(1), batch.flatten(1)) + 1e9 * torch.eye(8)
    assert distances.min() > 100


def test_the_same_bytes_every_time_and_on_every_machine():
    digest = hashlib.sha256(images.batch(64, 4).numpy().tobytes()).hexdigest()
    assert digest == DIGEST
    assert torch.equal(images.batch(64, 6)[:4], images.batch(64, 4))
    assert not torch.equal(images.batch(64, 4, seed=1)[1:], images.batch(64, 4)[1:])


def test_a_batch_that_was_changed_leaves_the_next_as_it_was():
    images.batch(64, 2).zero_()
    assert images.batch(64, 2).any()


def test_the_first_is_the_photograph():
    batch = images.batch(224, 2, seed=5)
    assert (batch[0] - images.read_image(images.PHOTOGRAPH)).abs().mean() < 0.1


def test_an_image_of_any_mode_is_read(tmp_path):
    for mode in ("L", "RGBA", "P", "1", "CMYK"):
        suffix = ".tif" if mode == "CMYK" else ".png"
        path = tmp_path / f"{mode}{suffix}"
        Image.new(mode, (300, 260)).save(path)
        assert images.read_image(path).shape == (3, 224, 224)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "does not exist"), (b"not an image", "cannot be read"), (b"", "cannot be read")],
)
def test_a_file_that_is_not_an_image_is_refused_in_one_line(tmp_path, content, words):
    path = tmp_path / "photo.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FileError, match=words) as caught:
        images.read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_photo_that_is_cut_short_is_refused(tmp_path):
    path = tmp_path / "half.jpg"
    path.write_bytes(images.PHOTOGRAPH.read_bytes()[:20000])
    with pytest.raises(FileError, match="cannot be read"):
        images.read_image(path)


def test_a_folder_is_not_an_image(tmp_path):
    with pytest.raises(FileError, match="cannot be read"):
        images.read_image(tmp_path)


def test_a_batch_that_memory_has_no_room_for_is_refused_at_once():
    with pytest.raises(RuntimeError, match="memory"):
        images.batch(224, 10**9)
