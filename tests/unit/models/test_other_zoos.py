"""torchvision's other families and timm, by the names that --models takes."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch

from deploybench import settings
from deploybench.errors import UsageError
from deploybench.models import references, timm_zoo
from deploybench.models.weights import RANDOM
from deploybench.runner.prepared_model import Plan
from deploybench.runner.workbench import Workbench

needs_timm = pytest.mark.skipif(find_spec("timm") is None, reason="pip install 'deploybench[timm]'")


def names(spec):
    return [model.name for model in references.select(spec)]


@pytest.mark.parametrize("mark", [":", "."])
def test_a_family_is_named_with_a_colon_or_a_dot(mark):
    (model,) = references.select(f"torchvision.models.segmentation{mark}lraspp_mobilenet_v3_large")
    assert model.name == "lraspp_mobilenet_v3_large"
    assert model.task == "segmentation"
    assert references.find(model.reference) is model


def test_globs_and_all_select_within_the_family():
    assert names("torchvision.models.video:r*_18") == ["r2plus1d_18", "r3d_18"]
    assert names("torchvision.models.detection.ssd*") == [
        "ssd300_vgg16",
        "ssdlite320_mobilenet_v3_large",
    ]
    assert len(names("torchvision.models.segmentation")) == 6


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("torchvision.models.video:r3d_81", "did you mean 'r3d_18'"),
        ("torchvision.models.segmentation:resnet18", "lraspp_mobilenet_v3_large"),
        ("torchvision.models.detection:yolo*", "no model matches"),
    ],
)
def test_an_unknown_name_gets_the_known_ones(spec, words):
    with pytest.raises(UsageError, match=words):
        references.select(spec)


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        ("segmentation.lraspp_mobilenet_v3_large", (3, 520, 520)),
        ("detection.ssdlite320_mobilenet_v3_large", (3, 320, 320)),
        ("detection.fasterrcnn_mobilenet_v3_large_320_fpn", (3, 320, 320)),
        ("detection.ssd300_vgg16", (3, 300, 300)),
        ("video.r3d_18", (3, 16, 112, 112)),
    ],
)
def test_each_model_has_its_own_input(spec, shape):
    (model,) = references.select(f"torchvision.models.{spec}")
    batch = model.batch(2, seed=0)
    assert batch.shape == (2, *shape)
    assert not torch.equal(batch[0], batch[1])


def test_detectors_get_pixels_between_0_and_1():
    (model,) = references.select("torchvision.models.detection:ssdlite320_mobilenet_v3_large")
    batch = model.batch(2)
    assert 0 <= batch.min() < 0.1
    assert 0.9 < batch.max() <= 1


def test_the_frames_of_a_clip_differ():
    (model,) = references.select("torchvision.models.video:r3d_18")
    clip = model.batch(1)[0]
    assert not torch.equal(clip[:, 0], clip[:, 1])


@needs_timm
def test_a_model_of_timm_is_named_apart_and_has_its_own_normalisation():
    vit, cnn = references.select("timm:vit_tiny_patch16_224,timm:mobilenetv3_small_050")
    assert vit.name == "timm:vit_tiny_patch16_224"
    assert references.find(vit.reference) is vit
    # The same photograph: by (x - 0.5) / 0.5, and by ImageNet's mean and deviation.
    mean, std = (torch.tensor(each)[:, None, None] for each in (cnn_mean, cnn_std))
    assert torch.allclose(vit.batch(1)[0] / 2 + 0.5, cnn.batch(1)[0] * std + mean, atol=1e-6)


cnn_mean, cnn_std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@needs_timm
def test_timms_names_are_checked():
    assert "timm:resnet18" in names("timm:resnet1*")
    with pytest.raises(UsageError, match="did you mean 'resnet18'"):
        references.select("timm:resnet81")
    with pytest.raises(UsageError, match="no model matches 'timm:no_such"):
        references.select("timm:no_such*")


def test_without_timm_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setattr(timm_zoo, "find_spec", lambda name: None)
    timm_zoo._names.cache_clear()
    timm_zoo._model.cache_clear()
    with pytest.raises(UsageError, match=r"^timm is not installed; pip install 'deploybench\[timm"):
        references.select("timm:resnet18")


@pytest.mark.sweep
@pytest.mark.parametrize("backend", ["eager", "scripted", "cpp", "frozen-cpp"])
@pytest.mark.parametrize(
    "spec",
    [
        "torchvision.models.segmentation:lraspp_mobilenet_v3_large",
        "torchvision.models.detection:ssdlite320_mobilenet_v3_large",
        pytest.param("timm:vit_tiny_patch16_224", marks=needs_timm),
        pytest.param("timm:mobilenetv3_small_050", marks=needs_timm),
    ],
)
def test_the_answers_agree_with_random_weights(spec, backend):
    plan = Plan(settings.resolve("cpu"), RANDOM, inputs=2)
    (model,) = references.select(spec)
    with Workbench(plan) as bench, bench.case(model, backend) as case:
        assert case.check(1).agrees
