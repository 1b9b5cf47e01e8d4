"""Random weights that a check can rely on, and state dicts that are what they say they are."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from deploybench.errors import FileError, UsageError
from deploybench.models import images, torchvision_zoo, weights

MODEL = "shufflenet_v2_x0_5"
ZOO_MODEL = torchvision_zoo.model(MODEL)
RANDOM = weights.parse("random")


def randomized(name: str, seed: int = 0) -> torch.nn.Module:
    module = torchvision_zoo.build(name)
    weights.apply(module, torchvision_zoo.model(name), RANDOM, seed)
    return module


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "vit_b_16", "squeezenet1_1"])
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


def test_a_seed_gives_the_same_weights_again_and_another_seed_others():
    first, again, other = (randomized(MODEL, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not any(torch.equal(first[key], other[key]) for key in first if "num_batches" not in key)


def test_sources(tmp_path):
    assert weights.parse("random").label == "random"
    assert weights.parse("pretrained").label == "pretrained"
    assert weights.parse(str(tmp_path)).folder == tmp_path
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
        (lambda state: edited(state, **{"fc.bias": torch.ones(7)}), "of another model: size mism"),
        (
            lambda state: edited(state, **{"fc.bias": torch.full((1000,), float("nan"))}),
            "has NaN or infinity in 'fc.bias'",
        ),
        (lambda state: [1, 2], "holds no state dict but a list"),
        (lambda state: {"epoch": 3, "model": state}, "its entry 'epoch' is a int"),
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
