"""How a photo is prepared for a model is written down, and equal lines mean equal preparations."""

from __future__ import annotations

import warnings

import pytest
import torch
from PIL import Image

from deploybench import Model
from deploybench.cli import _read_image
from deploybench.formats.torchscript import ScriptedFile
from deploybench.models import images, preparation, torchvision_zoo
from tests.unit import tiny

ARTICLE = (
    "3x224x224; resize 256 bilinear, centre crop; mean 0.485 0.456 0.406; std 0.229 0.224 0.225"
)


def described(model: Model) -> str:
    return preparation.describe(model.preprocessing(), model.name)


def test_the_articles_preprocessing_is_that_of_most_of_torchvisions_models():
    assert preparation.describe(images.preprocessing(224, 224), "any") == ARTICLE
    assert described(torchvision_zoo.model("resnet18")) == ARTICLE
    steps = torchvision_zoo.model("resnet18").preprocessing()
    assert torch.equal(
        images.read_image(images.PHOTOGRAPH), images.read_image(images.PHOTOGRAPH, steps)
    )


def test_another_size_or_interpolation_is_another_line():
    said = described(torchvision_zoo.model("efficientnet_b1"))
    assert said.startswith("3x240x240; resize 256 bicubic")


def test_steps_of_a_models_own_have_its_name():
    assert (
        preparation.describe(lambda image: torch.zeros(3, 8, 8), "mine") == "3x8x8; as mine does it"
    )


def test_a_torchscript_file_says_how_its_photos_are_prepared(tmp_path):
    path = tmp_path / "tiny.ts"
    module = tiny.MODEL.built()
    ScriptedFile().export(module, (torch.zeros(1, 3, 32, 32),), path)
    preparation.write_into(path, tiny.MODEL)
    extra = {"preprocessing": ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = torch.jit.load(str(path), _extra_files=extra)
    said = extra["preprocessing"]
    assert (said.decode() if isinstance(said, bytes) else said) == described(tiny.MODEL)
    image = images.batch(32, 1)
    assert torch.equal(loaded(image), module(image))


@pytest.mark.parametrize("name", [None, "efficientnet_b1"])
def test_read_image_writes_what_it_did_beside_the_photo(tmp_path, name):
    from argparse import Namespace

    photo, out = tmp_path / "photo.png", tmp_path / "photo.dat"
    Image.open(images.PHOTOGRAPH).save(photo)
    _read_image.main(Namespace(image=photo, out=out, model=name))
    steps = torchvision_zoo.model(name).preprocessing() if name else None
    assert out.read_bytes() == images.read_image(photo, steps).numpy().tobytes()
    beside = (tmp_path / "photo.dat.preprocessing").read_text()
    assert beside.strip() == (described(torchvision_zoo.model(name)) if name else ARTICLE)
