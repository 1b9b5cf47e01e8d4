"""Random weights that a check can rely on, and state dicts that are what they say they are."""

from __future__ import annotations

import hashlib
import math
import pickle
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from deploybench.errors import FileError, UsageError
from deploybench.models import images, torchvision_zoo, weights
from deploybench.models.draws import Draw, first_guess
from deploybench.models.model import Model

MODEL = "shufflenet_v2_x0_5"
ZOO_MODEL = torchvision_zoo.model(MODEL)
RANDOM = weights.parse("random")
SLOW_VIT = pytest.param("vit_b_16", marks=pytest.mark.sweep)


def randomized(name: str, seed: int = 0) -> torch.nn.Module:
    module = torchvision_zoo.build(name)
    weights.apply(module, torchvision_zoo.model(name), RANDOM, seed)
    return module


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", SLOW_VIT, "squeezenet1_1"])
def test_random_weights_make_logits_that_tell_inputs_and_classes_apart(name):
    module, batch = randomized(name), images.batch(torchvision_zoo.input_size(name), 8)
    with torch.inference_mode():
        eager = module(batch)
        reference = module.double()(batch.double())
    assert eager.isfinite().all()
    assert 1 <= reference.std(dim=1).min() <= reference.std(dim=1).max() <= 5
    assert 1 <= reference.std(dim=0).min() <= reference.std(dim=0).max() <= 5
    assert len(reference.argmax(dim=1).unique()) == 8
    first_six = reference.topk(6, dim=1).values
    gap = (first_six[:, :-1] - first_six[:, 1:]).median()
    assert gap > 100 * (eager - reference).abs().max()


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("resnet18", "88bccff1390508f8"),
        ("mobilenet_v2", "92d4120a31174856"),
        ("squeezenet1_1", "b53b7134819202b9"),
        ("alexnet", "5a892ca3da0eeaa1"),
        ("swin_t", "d44987d48e379d53"),
        ("convnext_tiny", "b936650230fa9a35"),
    ],
)
def test_what_is_drawn_is_the_same_bytes_on_every_machine(name, digest):
    drawn = hashlib.sha256()
    for parameter_name, parameter in torchvision_zoo.build(name).named_parameters():
        first_guess(parameter_name, parameter.detach(), Draw(3))
        drawn.update(parameter.detach().numpy().data)
    assert drawn.hexdigest()[:16] == digest


@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 3), (5, 1, 7), (40_961,), (3, 2**15)])
def test_numbers_are_drawn_as_numpys_generator_draws_them(shape):
    random = np.random.default_rng([9, zlib.crc32(b"name")])
    integers = torch.tensor(random.integers(-(2**15), 2**15, shape, np.int16))
    uniform = integers.float() * 2.0**-15
    assert torch.equal(Draw(9)("name", shape), uniform * uniform.square() * math.sqrt(7))


@pytest.mark.parametrize(
    "tensor",
    [torch.empty(4, 6).t(), torch.empty(6, 4, dtype=torch.float64), torch.empty(6, 4)],
    ids=["with gaps", "float64", "plain"],
)
def test_numbers_are_put_into_a_tensor_however_it_lies(tensor):
    assert Draw(0).into("name", tensor) is tensor
    assert torch.equal(tensor, Draw(0)("name", (6, 4)).to(tensor.dtype))


def test_a_seed_gives_the_same_weights_again_and_another_seed_others():
    first, again, other = (randomized(MODEL, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not any(torch.equal(first[key], other[key]) for key in first if "num_batches" not in key)


def test_sources(tmp_path):
    assert weights.parse("random").label == "random"
    assert weights.parse("pretrained").label == "pretrained"
    assert weights.parse(str(tmp_path)).path == tmp_path
    with pytest.raises(UsageError, match="unknown weights 'pretraind': did you mean 'pretrained'"):
        weights.parse("pretraind")


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return randomized(MODEL, seed=3).state_dict()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_folder_of_state_dicts(tmp_path, state, suffix):
    path = tmp_path / f"{MODEL}{suffix}"
    torch.save(state, path) if suffix == ".pth" else save_file(state, path)
    module = torchvision_zoo.build(MODEL)
    weights.apply(module, ZOO_MODEL, weights.parse(str(tmp_path)))
    loaded = module.state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in state)


class Bomb:
    """What a pickle may do when it is opened; the test sees that it is not."""

    def __reduce__(self):
        return Path.touch, (Path("executed"),)


def edited(state: dict, **changes) -> dict:
    return {**state, **changes}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda state: {k: v for k, v in state.items() if k != "fc.bias"}, "lacks 'fc.bias'"),
        (lambda state: edited(state, **{"head.x": torch.ones(1)}), "unknown entry 'head.x'"),
        (
            lambda state: {key.replace("fc.", "last."): each for key, each in state.items()},
            "lacks 'fc.weight' (and 1 more) and has an unknown entry 'last.weight' (and 1 more)",
        ),
        (lambda state: edited(state, **{"fc.bias": torch.ones(7)}), "for another model: size mism"),
        (
            lambda state: edited(state, **{"fc.bias": torch.ones(1000, dtype=torch.complex64)}),
            "has complex64 in 'fc.bias', where the model has float32; save them as float32",
        ),
        (
            lambda state: edited(state, **{"fc.bias": torch.full((1000,), float("nan"))}),
            "has NaN or infinity in 'fc.bias'",
        ),
        (lambda state: [1, 2], "is not a state dict but contains a list"),
        (lambda state: {"epoch": 3, "model": 5}, "its entry 'epoch' is a int"),
        (lambda state: Bomb(), "cannot be read"),
    ],
)
def test_a_bad_state_dict_is_named_with_the_first_thing_wrong(
    tmp_path, state, monkeypatch, content, words
):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"{MODEL}.pth"
    torch.save(content(state), path)
    refuse(tmp_path, path, words)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_that_is_cut_short_is_named(tmp_path, state, suffix):
    path = tmp_path / f"{MODEL}{suffix}"
    torch.save(state, path) if suffix == ".pth" else save_file(state, path)
    path.write_bytes(path.read_bytes()[:5000])
    refuse(tmp_path, path, "cannot be read")


def test_a_plain_pickle_is_not_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"{MODEL}.pth"
    path.write_bytes(pickle.dumps(Bomb()))
    refuse(tmp_path, path, "cannot be read")
    assert not (tmp_path / "executed").exists()


def test_a_missing_file_is_named(tmp_path):
    refuse(tmp_path, tmp_path, f"no weights for {MODEL} in")


def test_an_own_model_without_a_file_in_the_folder_keeps_its_weights_and_that_is_said(tmp_path):
    model = Model("own", build=lambda: torch.nn.Linear(2, 2), inputs=(2,))
    module = model.built()
    before = {key: each.clone() for key, each in module.state_dict().items()}
    applied = weights.apply(module, model, weights.parse(str(tmp_path)))
    assert (
        applied.taken == f"weights of own as built: '{tmp_path}' has no own.pth or own.safetensors"
    )
    assert all(torch.equal(before[key], each) for key, each in module.state_dict().items())
    assert weights.apply(module, model, weights.parse("random")) is None


def refuse(folder: Path, path: Path, words: str) -> None:
    with pytest.raises(FileError) as caught:
        weights.apply(torchvision_zoo.build(MODEL), ZOO_MODEL, weights.parse(str(folder)))
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def cached(tmp_path, monkeypatch, state):
    """Where torchvision keeps the weights, with a small file in place of the model's own."""
    from torchvision.models import ShuffleNet_V2_X0_5_Weights

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(state, folder / "unnamed")
    digest = hashlib.sha256((folder / "unnamed").read_bytes()).hexdigest()[:8]
    path = (folder / "unnamed").rename(folder / f"small-{digest}.pth")
    own = torchvision_zoo.pretrained(MODEL)
    assert own is ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1
    url = f"http://127.0.0.1:9/{path.name}"
    monkeypatch.setattr(own, "_value_", type(own.value)(url, own.transforms, own.meta))
    return path


def test_pretrained_weights_come_from_torch_home(cached, state):
    module = torchvision_zoo.build(MODEL)
    weights.apply(module, ZOO_MODEL, weights.parse("pretrained"))
    assert torch.equal(module.state_dict()["fc.bias"], state["fc.bias"])


def test_a_cached_file_that_is_not_what_its_name_says_is_refused(cached):
    cached.write_bytes(cached.read_bytes() + b"x")
    with pytest.raises(FileError, match="damaged or not the original"):
        weights.apply(torchvision_zoo.build(MODEL), ZOO_MODEL, weights.parse("pretrained"))


def test_without_a_network_the_file_and_where_to_put_it_are_named(cached):
    cached.unlink()
    with pytest.raises(FileError, match="could not be downloaded") as caught:
        weights.apply(torchvision_zoo.build(MODEL), ZOO_MODEL, weights.parse("pretrained"))
    assert cached.name in str(caught.value)
    assert str(cached.parent) in str(caught.value)
