"""State dicts of a user's: a head of another size, and weights that a Model itself names."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from deploybench.errors import FileError, UsageError
from deploybench.models import torchvision_zoo, weights

from ..tiny import MODEL, Tiny

RANDOM = weights.RANDOM


def with_classes(count: int) -> Tiny:
    module = Tiny()
    module.head = nn.Linear(8, count)
    return module


@pytest.fixture
def saved(tmp_path):
    """A function that saves a module's state dict; where it is."""

    def save(module: nn.Module, name: str = "tiny.pth"):
        torch.save(module.state_dict(), tmp_path / name)
        return tmp_path / name

    return save


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "mobilenet_v3_small"])
def test_a_zoo_model_gets_the_classes_of_the_file(saved, name):
    from torchvision import models

    tuned = models.get_model(name, weights=None, num_classes=10).eval()
    path = saved(tuned, f"{name}.pth")
    module = torchvision_zoo.build(name)
    weights.apply(module, torchvision_zoo.model(name), weights.parse(str(path.parent)))
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert module(images).shape == (2, 10)
        assert torch.equal(module(images), tuned(images))


def test_another_model_is_still_refused(saved):
    other = with_classes(10)
    other.features[0] = nn.Conv2d(3, 8, 5)
    other.head = nn.Linear(8, 3)
    for module in (other, nn.Sequential(Tiny())):
        path = saved(module)
        with pytest.raises(FileError, match="another model"):
            weights.apply(Tiny(), replace(MODEL, weights=path), RANDOM)
    other = with_classes(10)
    other.head = nn.Linear(9, 3)
    with pytest.raises(FileError, match=r"for another model: size mismatch for head\.weight"):
        weights.apply(Tiny(), replace(MODEL, weights=saved(other)), RANDOM)


def test_a_model_is_measured_as_built_unless_there_is_a_state_dict_for_it(saved):
    built, other = Tiny(), with_classes(3)
    path = saved(other)
    before = built.head.weight.clone()
    for source in (RANDOM, weights.parse("pretrained"), weights.parse(str(path.parents[1]))):
        applied = weights.apply(built, MODEL, source)
        assert (applied is None) == (source.path is None), "a folder without its file is said"
        assert applied is None or applied.digest is None
        assert torch.equal(built.head.weight, before)
    for given in (path, path.parent):
        module = Tiny()
        assert weights.apply(module, MODEL, weights.parse(str(given)))
        assert torch.equal(module.head.weight, other.head.weight)


def test_a_model_names_its_own_state_dict(saved):
    other = with_classes(3)
    module = Tiny()
    own = replace(MODEL, weights=saved(other, "any name.pt"))
    assert weights.apply(module, own, RANDOM)
    assert torch.equal(module.head.weight, other.head.weight)
    with pytest.raises(FileError, match=r"no weights for tiny: 'none\.pth' does not exist"):
        weights.apply(module, replace(MODEL, weights="none.pth"), RANDOM)


def test_a_model_asks_for_random_weights_that_make_checks_meaningful():
    module = Tiny().eval()
    weights.apply(module, replace(MODEL, weights="random"), weights.parse("pretrained"))
    with torch.inference_mode():
        logits = module(MODEL.batch(8))
    assert logits.std(dim=0).min() > 1

    class Fails(Tiny):
        def forward(self, x):
            raise RuntimeError("no images")

    with pytest.raises(
        UsageError, match=r"random weights \(RuntimeError: no images\); use weights="
    ):
        weights.apply(Fails(), replace(MODEL, weights="random"), RANDOM)
