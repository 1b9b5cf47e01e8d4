"""Which models there are, and that each is built to give plain logits."""

from __future__ import annotations

import warnings

import pytest
import torch

from deploybench.errors import UsageError
from deploybench.models import torchvision_zoo


def test_the_article_has_31_models_all_of_which_torchvision_has():
    assert len(torchvision_zoo.ARTICLE) == 31
    assert torchvision_zoo.select("article") == sorted(torchvision_zoo.ARTICLE)
    assert set(torchvision_zoo.ARTICLE) <= set(torchvision_zoo.select("all"))
    assert {"googlenet", "inception_v3", "vit_h_14"} <= set(torchvision_zoo.select("all"))


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ("resnet18", ["resnet18"]),
        ("vgg11, alexnet,vgg11", ["vgg11", "alexnet"]),
        ("vgg1[13]", ["vgg11", "vgg13"]),
        ("alexnet,squeeze*", ["alexnet", "squeezenet1_0", "squeezenet1_1"]),
    ],
)
def test_names_and_globs(spec, names):
    assert torchvision_zoo.select(spec) == names


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("resnet19", "unknown model 'resnet19': did you mean 'resnet1"),
        ("alexnet,mobilnet_v2", "did you mean 'mobilenet_v2'"),
        ("gpt*", "no model matches 'gpt\\*'"),
        (",", "no model in ','"),
    ],
)
def test_an_unknown_model_is_named_with_the_nearest(spec, words):
    with pytest.raises(UsageError, match=words):
        torchvision_zoo.select(spec)


@pytest.mark.parametrize(
    ("name", "size"),
    [("resnet18", 224), ("inception_v3", 299), ("efficientnet_b7", 600), ("vit_h_14", 224)],
)
def test_each_model_has_the_input_size_of_its_own_weights(name, size):
    assert torchvision_zoo.input_size(name) == size


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_models_with_auxiliary_classifiers_give_plain_logits_scripted_too(name):
    from deploybench.models import images, weights

    module = torchvision_zoo.build(name)
    weights.apply(module, torchvision_zoo.model(name), weights.parse("random"))
    batch = images.batch(torchvision_zoo.input_size(name), 2)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logits = module(batch)
        assert logits.shape == (2, 1000)
        assert torch.equal(torch.jit.script(module)(batch), logits)


def test_a_model_is_built_as_torchvision_builds_it():
    import torchvision

    ours = torchvision_zoo.build("swin_t").state_dict()
    theirs = torchvision.models.swin_t(weights=None).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {
        key: value.shape for key, value in theirs.items()
    }
    # What is computed and not drawn must be right without weights.
    index = next(key for key in theirs if key.endswith("relative_position_index"))
    assert torch.equal(ours[index], theirs[index])


def test_labels_are_imagenets():
    labels = torchvision_zoo.labels()
    assert len(labels) == 1000
    assert labels[652] == "military uniform"
