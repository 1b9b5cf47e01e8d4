"""How a photo becomes the input of a model: the zoos' own way, ImageNet's for a shape of images."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from deploybench import Model, cli
from deploybench.errors import UsageError
from deploybench.models import images, references, torchvision_zoo
from tests.unit import several_inputs, tiny

PHOTO = str(images.PHOTOGRAPH)


def prepared(model: Model) -> torch.Tensor:
    return images.read_image(PHOTO, model.preprocessing())


def test_a_shape_of_images_gets_imagenets_preprocessing():
    wide = Model("wide", build=tiny.Tiny, inputs=(3, 224, 224))
    assert torch.equal(prepared(wide), images.read_image(PHOTO))
    assert prepared(tiny.MODEL).shape == (3, 32, 32)
    oblong = Model("oblong", build=tiny.Tiny, inputs=(3, 20, 48))
    assert prepared(oblong).shape == (3, 20, 48)


def test_a_model_of_torchvision_has_that_of_its_weights():
    model = torchvision_zoo.model("inception_v3")
    assert prepared(model).shape == (3, 299, 299)
    expected = images.read_image(PHOTO, torchvision_zoo.preprocess("inception_v3"))
    assert torch.equal(prepared(model), expected)


def test_a_model_of_timm_has_its_own_size_mean_and_deviation():
    pytest.importorskip("timm")
    (model,) = references.select("timm:mixer_s32_224")
    white = model.preprocessing()(Image.new("RGB", (300, 300), "white"))
    assert white.shape == (3, 224, 224)
    assert torch.allclose(white, torch.ones(3, 224, 224))  # (1 - 0.5) / 0.5


@pytest.mark.parametrize(
    "model",
    [
        several_inputs.SEES,
        Model("grey", build=tiny.Tiny, inputs=(1, 32, 32)),
        Model("numbers", build=tiny.Tiny, inputs=(5,)),
    ],
    ids=lambda model: model.name,
)
def test_other_inputs_are_refused_with_what_a_photo_needs(model):
    with pytest.raises(UsageError, match=f"^{model.name} does not say how a photo becomes its in"):
        model.preprocessing()


def test_infer_names_the_classes_of_an_own_model(capsys):
    words = ["infer", "tests/unit/tiny.py:MODEL", PHOTO, "--device=cpu"]
    assert cli.main(words) == 0
    printed = capsys.readouterr()
    names = [line.rpartition(" ")[0] for line in printed.out.splitlines()]
    assert len(set(names)) == 5
    assert set(names) <= {f"class {number}" for number in range(tiny.CLASSES)}
    assert "random" not in printed.err, "its weights are its own"
    (line,) = (line for line in printed.err.splitlines() if "prepared" in line)
    assert "(3x32x32; resize 37 bilinear, centre crop; mean 0.485 0.456 0.406; std 0.229" in line
    assert line.endswith("if tiny was trained otherwise, override Model.preprocessing")


def test_infer_says_nothing_of_a_photo_that_it_then_refuses_to_name(capsys, tmp_path):
    (tmp_path / "own.py").write_text(
        "from deploybench import Model\n"
        "from tests.unit.tiny import Tiny\n"
        "MODEL = Model('own', build=Tiny, inputs=(3, 32, 32), labels=['red', 'green'])\n"
    )
    assert cli.main(["infer", f"{tmp_path}/own.py:MODEL", PHOTO, "--device=cpu"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "labels of own" in line


def test_infer_does_not_question_the_preprocessing_that_a_model_brings(capsys, tmp_path):
    (tmp_path / "own.py").write_text(
        "from deploybench import Model\n"
        "from deploybench.models import images\n"
        "from tests.unit.tiny import Tiny\n"
        "class Own(Model):\n"
        "    def preprocessing(self):\n"
        "        return images.preprocessing(32, 32)\n"
        "MODEL = Own('own', build=Tiny, inputs=(3, 32, 32))\n"
    )
    assert cli.main(["infer", f"{tmp_path}/own.py:MODEL", PHOTO, "--device=cpu"]) == 0
    assert "prepared" not in capsys.readouterr().err


def test_infer_does_not_soften_probabilities_again(capsys, tmp_path):
    (tmp_path / "sure.py").write_text(
        "import torch\n"
        "from deploybench import Model\n"
        "class Sure(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        return (x.mean(dim=(2, 3)) * 100).softmax(dim=1)\n"
        "MODEL = Model('sure', build=Sure, inputs=(3, 32, 32), labels=['red', 'green', 'blue'])\n"
    )
    assert cli.main(["infer", f"{tmp_path}/sure.py:MODEL", PHOTO, "--device=cpu"]) == 0
    shares = [float(line.split()[-1].rstrip("%")) for line in capsys.readouterr().out.splitlines()]
    assert sum(shares) == pytest.approx(100, abs=0.1)
    assert shares[0] > 99


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("tests/unit/several_inputs.py:SEES", "sees is judged as embedding; infer needs a classif"),
        (
            "torchvision.models.segmentation:lraspp_mobilenet_v3_large",
            "lraspp_mobilenet_v3_large is judged as segmentation; infer needs a classification",
        ),
        ("torchvision.models.video:r3d_18", "r3d_18 does not say how a photo becomes its input;"),
    ],
)
def test_infer_refuses_other_models_in_one_line(capsys, item, words):
    assert cli.main(["infer", item, PHOTO, "--device=cpu"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
