"""A user's own models: by file, by module, by name; and what is said where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from deploybench import Model
from deploybench.errors import UsageError
from deploybench.models import model as models
from deploybench.models import references, zoos
from deploybench.models.own import Given
from deploybench.models.shapes import SeveralShapes, format_shapes, parse_shapes

from .. import own_models

HERE = "tests.unit.own_models"
IMAGE = Given(inputs=(3, 32, 32))


def names(spec: str, given: Given | None = None) -> list[str]:
    return [model.name for model in references.select(spec, given)]


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (f"{HERE}:FIRST", ["first-one"]),
        (f"{HERE}:SEVERAL", ["second", "third"]),
        (f"{HERE}:make_model", ["returned"]),
        (f"{HERE}:FIRST,resnet18,{HERE}:SEVERAL", ["first-one", "resnet18", "second", "third"]),
        (f"{HERE}:FIRST,{HERE}:FIRST", ["first-one"]),
        ("tests.unit.tiny", ["tiny", "tiny_dict"]),
        ("tests/unit/tiny.py", ["tiny", "tiny_dict"]),
        ("tests/unit/tiny.py:WITH_DICT", ["tiny_dict"]),
        ("torchvision:vgg1[13],torchvision:vgg11", ["vgg11", "vgg13"]),
    ],
)
def test_models_are_found_by_file_module_and_name(spec, found):
    assert names(spec) == found


def write_net(path: Path, classes: int) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f"from torch import nn\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        f"        super().__init__()\n        self.head = nn.Linear(4, {classes})\n\n"
        "    def forward(self, x):\n        return self.head(x)\n"
    )
    return f"{path}:Net"


def test_files_with_similar_paths_are_different_modules(tmp_path):
    places = [tmp_path / name for name in ("my-net.py", "my_net.py", "my net.py", "mý_net.py")]
    for classes, path in enumerate(places, start=2):
        (model,) = references.select(write_net(path, classes), Given((4,), "embedding"))
        assert model.build().head.out_features == classes


def test_a_file_whose_path_is_not_ascii_can_be_scripted_and_read_back(tmp_path):
    spec = write_net(tmp_path / "prüf ordner" / "größe.py", 3)
    (model,) = references.select(spec, Given((4,), "embedding"))
    torch.jit.script(model.build()).save(str(tmp_path / "net.ts"))
    assert torch.jit.load(str(tmp_path / "net.ts"))(torch.ones(1, 4)).shape == (1, 3)


def test_a_callable_becomes_a_model_with_what_is_given_beside_it():
    given = Given((3, 32, 32), "embedding", ("cat", "dog"))
    (model,) = references.select(f"{HERE}:make_tiny", given)
    assert model.name == "make_tiny"
    assert (model.inputs, model.task, model.labels) == ((3, 32, 32), "embedding", ("cat", "dog"))
    assert model.weights == models.AS_BUILT
    assert model.build is own_models.make_tiny
    assert names(f"{HERE}:Prints", IMAGE) == ["Prints"], "a class is a callable too"
    assert names(f"{HERE}:make_model,{HERE}:make_tiny", IMAGE) == ["returned", "make_tiny"]
    assert names(f"{HERE}:make_other_model", IMAGE) == ["make_other_model"]


@pytest.mark.parametrize(
    ("spec", "given"),
    [
        (f"{HERE}:make_tiny", Given((3, 32, 32), "embedding")),
        (f"{HERE}:TwoInputs", Given(SeveralShapes(((5, 4, 4), (5,))), "embedding")),
        (f"{HERE}:SEVERAL", Given()),
        (f"{HERE}:make_model", Given()),
        ("tests/unit/tiny.py", Given()),
        ("resnet18", Given()),
    ],
)
def test_a_reference_finds_the_same_model_again(spec, given):
    for model in references.select(spec, given):
        assert references.find(model.reference) == model


def test_another_process_in_another_folder_finds_it_too(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").touch()
    (tmp_path / "mine" / "nets.py").write_text(
        "from torch import nn\nfrom .size import SIZE\ndef make(): return nn.Linear(SIZE, 7)\n"
    )
    (tmp_path / "mine" / "size.py").write_text("SIZE = 5\n")
    (model,) = references.select("mine.nets:make", Given((5,), folder=tmp_path))
    program = (
        "import sys; from deploybench.models import references;"
        "model = references.find(sys.argv[1]);"
        "print(model.built()(model.batch(2)).shape[1], model.inputs)"
    )
    command = [sys.executable, "-c", program, model.reference]
    root = Path(__file__).resolve().parents[3]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert ran.stdout == "7 (5,)\n"


def test_a_file_finds_its_neighbours_and_a_bare_module_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "neighbour_of_net.py").write_text("from tests.unit.tiny import Tiny\n")
    (tmp_path / "net_of_file.py").write_text(
        "from deploybench import Model\nfrom neighbour_of_net import Tiny\n"
        "print('importing')\nONE = Model('one', build=Tiny, inputs=(3, 32, 32))\n"
    )
    assert names(str(tmp_path / "net_of_file.py")) == ["one"]
    assert names("net_of_file", Given(folder=tmp_path)) == ["one"]


@pytest.mark.parametrize(
    ("spec", "given", "words"),
    [
        (f"{HERE}:make_tinny", IMAGE, "has no 'make_tinny' (did you mean 'make_tiny'?)"),
        ("tests.unit.own_modells:X", None, "(did you mean 'tests.unit.own_models'?)"),
        ("testz.unit:X", None, "no module or zoo 'testz' (did you mean 'tests'?)"),
        ("torchvison:resnet18", None, "(did you mean 'torchvision'?)"),
        ("tests/unit/tinny.py", None, "no file 'tests/unit/tinny.py' (did you mean 'tiny.py'?)"),
        (f"{HERE}:NUMBER", None, "is a int; name a Model, a list of Models, or a callable"),
        (f"{HERE}:BUILT", IMAGE, "is a module that is already built; name its class"),
        (f"{HERE}:needs_arguments", IMAGE, "needs arguments (width, depth); name a callable that"),
        (f"{HERE}:make_tiny", None, "add its shape without the batch dimension, for example --inp"),
        (f"{HERE}:returns_text", None, "returns a str, not a torch.nn.Module; return the module"),
        (f"{HERE}:raises", None, "raises an error when it is called: ValueError: no such checkp"),
        ("tests.unit.saved_runs", None, "has no Model at its top; define one, or name a callable"),
        ("reznet18", None, "unknown model 'reznet18': did you mean 'resnet1"),
        ("json", None, "unknown model 'json'"),
    ],
)
def test_what_cannot_be_found_is_named_with_the_nearest(spec, given, words):
    with pytest.raises(UsageError) as caught:
        references.select(spec, given)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "import torhc",
            "ModuleNotFoundError: No module named 'torhc' (broken.py:1); install torhc",
        ),
        ("\n1 / 0", "ZeroDivisionError: division by zero (broken.py:2)"),
        ("def", "SyntaxError: "),
        ("import sys; sys.exit('over')", "SystemExit: over"),
    ],
)
def test_a_file_that_cannot_be_imported_is_named_with_its_line(tmp_path, code, words):
    (tmp_path / "broken.py").write_text(code)
    with pytest.raises(UsageError, match=r"broken.py' cannot be imported: ") as caught:
        references.select(str(tmp_path / "broken.py"))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_models_of_one_name_are_refused_and_two_zoos_are_not(monkeypatch):
    class Other:
        prefix = "other"

        def select(self, spec):
            return [self.model(spec)]

        def model(self, name):
            return Model(f"other:{name}", build=own_models.make_tiny, inputs=(3, 32, 32))

    monkeypatch.setitem(zoos.ZOOS, "other", Other())
    assert names("other:resnet18,resnet18") == ["other:resnet18", "resnet18"]
    with pytest.raises(UsageError, match=r"are named 'tiny' \(.*tiny:MODEL and .*tiny.py:MODEL\)"):
        references.select("tests.unit.tiny,tests/unit/tiny.py")


@pytest.mark.parametrize(
    "lines",
    ["MODELS = [NET, OTHER]", "ALL = (NET,)\nMODELS = [OTHER, NET]", "DEFAULT = NET"],
)
def test_a_model_that_is_there_by_several_names_is_one(tmp_path, lines):
    path = tmp_path / "several.py"
    path.write_text(
        "from deploybench import Model\n"
        "from tests.unit.own_models import make_tiny\n"
        "NET = Model('net', build=make_tiny, inputs=(3, 32, 32))\n"
        "OTHER = Model('other', build=make_tiny, inputs=(3, 32, 32))\n"
        f"{lines}\n"
    )
    found = references.select(str(path))
    assert [model.name for model in found] == ["net", "other"]
    assert [references.find(model.reference) for model in found] == found


@pytest.mark.parametrize("name", ["", "a/b", "a b", "a[1]", "a,b", "a@b", "a\n"])
def test_a_name_that_is_not_safe_in_ids_and_files_is_refused(name):
    with pytest.raises(UsageError, match="is not a name for a model; use letters, digits and any"):
        Model(name, build=own_models.make_tiny, inputs=(1,))


def test_the_names_of_files_are_safe_and_differ():
    assert models.file_stem("timm:resnet18.a1_in1k") == "timm@resnet18.a1_in1k"


@pytest.mark.parametrize("text", ["3x224x224", "5", "1x64x64,5"])
def test_shapes_are_read_and_written(text):
    assert format_shapes(parse_shapes(text)) == text


def test_several_shapes_are_several_tensors():
    image, vector = parse_shapes("1x64x64,5")(3, 0)
    assert (image.shape, vector.shape) == ((3, 1, 64, 64), (3, 5))


@pytest.mark.parametrize("text", ["", "3x", "3x0", "axb", "3*224", "1x2,,3", "-1x3"])
def test_what_is_not_a_shape_is_refused(text):
    with pytest.raises(UsageError, match="is not a shape; give sizes without the batch dimension"):
        parse_shapes(text)
