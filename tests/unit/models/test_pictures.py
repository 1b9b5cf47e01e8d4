"""The pictures that calibrate and judge: two disjoint halves, whatever a folder contains."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from deploybench.errors import FileError
from deploybench.models import pictures
from deploybench.models.pictures import Pictures, classes


def draw(path, seed: int, size: tuple[int, int] = (24, 20)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path):
    for number in range(12):
        draw(tmp_path / ("cat" if number % 3 else "dog") / f"{number}.png", number)
    return tmp_path


@pytest.fixture(autouse=True)
def uncached():
    pictures.of_folder.cache_clear()
    pictures.of_packages.cache_clear()
    pictures._opened.cache_clear()


def paths(half) -> set[str]:
    return {each.path.name for each in half}


def test_a_folder_is_divided_into_disjoint_halves_by_the_seed(folder):
    one, again, other = (pictures.of_folder(folder, seed) for seed in (0, 0, 1))
    assert paths(one.calibration) | paths(one.judging) == {f"{each}.png" for each in range(12)}
    assert (len(one.calibration), len(one.judging)) == (6, 6)
    assert not paths(one.calibration) & paths(one.judging)
    assert one.digest == again.digest
    assert paths(other.calibration) != paths(one.calibration)
    assert other.digest != one.digest


def test_the_digest_is_of_the_content_and_not_of_where_it_is(folder, tmp_path_factory):
    moved = tmp_path_factory.mktemp("moved") / "photos"
    shutil.copytree(folder, moved)
    assert pictures.of_folder(moved, 0).digest == pictures.of_folder(folder, 0).digest
    draw(moved / "cat" / "1.png", 99)
    pictures.of_folder.cache_clear()
    pictures._sha256.cache_clear()
    assert pictures.of_folder(moved, 0).digest != pictures.of_folder(folder, 0).digest


def test_copies_of_an_image_cannot_be_in_both_halves(folder):
    shutil.copy(folder / "cat" / "1.png", folder / "again.png")
    found = pictures.of_folder(folder, 0)
    assert len(found.calibration) + len(found.judging) == 12


def test_what_is_no_image_is_left_out_and_too_few_are_refused(tmp_path):
    draw(tmp_path / "one.png", 1)
    (tmp_path / "notes.txt").write_text("not a picture")
    with pytest.raises(FileError, match=r"has 1 different images, .* at least 2; give a folder"):
        pictures.of_folder(tmp_path, 0)


def test_at_most_so_many_calibrate_and_all_others_judge(folder, monkeypatch):
    monkeypatch.setattr(pictures, "MOST_TO_CALIBRATE", 2)
    found = pictures.of_folder(folder, 0)
    assert (len(found.calibration), len(found.judging)) == (2, 10)


def test_labels_are_the_folders_or_a_file_of_them(folder):
    by_folder = {each.path.stem: each.label for each in pictures.of_folder(folder, 0).judging}
    assert all(by_folder[stem] == ("cat" if int(stem) % 3 else "dog") for stem in by_folder)
    (folder / "labels.csv").write_text("file,class\ncat/1.png,7\ndog/0.png,3\n")
    pictures.of_folder.cache_clear()
    found = pictures.of_folder(folder, 0)
    labels = {each.path.stem: each.label for each in (*found.calibration, *found.judging)}
    assert (labels["1"], labels["0"], labels["2"]) == ("7", "3", None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cat/1.png\n", "line 1 is not FILE,CLASS"),
        ("file,class\ncat/99.png,1\n", "line 2 names 'cat/99.png', which is not in the folder"),
        ("cat/1.png,\n", "line 1 is not FILE,CLASS"),
    ],
)
def test_a_file_of_labels_that_cannot_be_used_is_named_with_the_line(folder, text, words):
    (folder / "labels.csv").write_text(text)
    with pytest.raises(FileError, match=words):
        pictures.of_folder(folder, 0)


def labelled(*labels: str | None) -> Pictures:
    given = pictures.Picture(pictures.Path("x.png"), "0")
    return Pictures("test", 0, (), tuple(replace(given, label=label) for label in labels))


@pytest.mark.parametrize(
    ("labels", "names", "count", "expected"),
    [
        (("3", "0", None), None, 10, [3, 0, None]),
        (("dog", "cat"), ["cat", "fish", "dog"], 3, [2, 0]),
        (("n02", "n01", "n01"), None, 2, [1, 0, 0]),
        (("n02", "n01"), None, 3, None),
        (("3", "11"), None, 10, None),
        ((None, None), None, 10, None),
    ],
)
def test_labels_mean_classes_by_number_by_name_or_in_the_order_of_folders(
    labels, names, count, expected
):
    assert classes(labelled(*labels), names, count) == expected


def test_crops_are_of_other_photographs_in_each_half(tmp_path, monkeypatch):
    files = [tmp_path / f"{number}.png" for number in range(5)]
    for number, path in enumerate(files):
        draw(path, number, (64, 48))
    monkeypatch.setattr(pictures, "photographs", lambda: files)
    found = pictures.of_packages(0)
    assert (len(found.calibration), len(found.judging)) == (128, 640)
    assert not paths(found.calibration) & paths(found.judging)
    boxes = [each.box for each in (*found.calibration, *found.judging)]
    assert all(
        left >= 0 and right <= 64 and top >= 0 and bottom <= 48
        for left, top, right, bottom in boxes
    )
    assert all(right - left == bottom - top >= 16 for left, top, right, bottom in boxes)
    assert found.calibration[0].image().size == (boxes[0][2] - boxes[0][0],) * 2
    assert found.digest == pictures.of_packages(0).digest


def test_a_mirrored_picture_is_mirrored(tmp_path):
    draw(tmp_path / "one.png", 1)
    plain = pictures.Picture(tmp_path / "one.png", "0")
    mirrored = np.asarray(replace(plain, mirrored=True).image())
    assert (mirrored == np.asarray(plain.image())[:, ::-1]).all()


def test_without_a_package_there_are_no_photographs(monkeypatch):
    monkeypatch.setitem(pictures.PHOTOGRAPHS, "no_such_package", ("one.png",))
    assert pictures.photographs() is None
    assert pictures.of_packages(0) is None


def test_the_photographs_that_are_named_are_in_the_packages():
    if any(pictures.importlib.util.find_spec(package) is None for package in pictures.PHOTOGRAPHS):
        pytest.skip("pip install -r requirements-successors.txt")
    found = pictures.photographs()
    assert found is not None and len(found) == 11
