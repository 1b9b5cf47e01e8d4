"""Which state dict of a checkpoint a model gets, and what is said of it."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from deploybench.errors import FileError
from deploybench.models import heads, weights

from ..tiny import MODEL, Tiny


def filled(value: float) -> nn.Module:
    """A Tiny in which every weight is `value`."""
    module = Tiny()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(value)
    return module


def prefixed(prefix: str, value: float = 2.0) -> dict:
    return {prefix + key: each for key, each in filled(value).state_dict().items()}


STATE = filled(2.0).state_dict()
EMA = filled(3.0).state_dict()


@pytest.fixture
def given(tmp_path):
    """A function that saves a checkpoint and gives it to a Tiny: the module and what is said."""

    def give(checkpoint, entry: str = "", module: nn.Module | None = None):
        path = tmp_path / "any.pth"
        torch.save(checkpoint, path)
        module = module or Tiny()
        applied = weights.apply(module, MODEL, weights.parse(f"{path}{entry}"))
        return module, applied.taken

    return give


@pytest.mark.parametrize(
    "prefix",
    ["module.", "_orig_mod.", "model.", "backbone.", "module._orig_mod.model.", "ema.module."],
)
def test_names_that_share_a_prefix_are_taken_without_it(given, prefix):
    module, taken = given(prefixed(prefix))
    assert torch.equal(module.head.weight, STATE["head.weight"])
    assert f"without the prefix '{prefix.replace('_orig_mod.', '')}'" in taken or (
        prefix == "_orig_mod." and "names without '_orig_mod.'" in taken
    )


def test_what_wrappers_put_into_the_middle_of_names_is_left_out(given):
    wrapped = {key.replace("features.", "features._orig_mod."): each for key, each in STATE.items()}
    module, taken = given(wrapped)
    assert torch.equal(module.features[0].weight, STATE["features.0.weight"])
    assert "names without '_orig_mod.'" in taken


def test_a_prefix_of_the_model_is_added_to_the_names_of_its_parts_file(given):
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = Tiny()

    module, taken = given(STATE, module=Wrapped())
    assert torch.equal(module.model.head.weight, STATE["head.weight"])
    assert "with the prefix 'model.' added" in taken


@pytest.mark.parametrize(
    ("checkpoint", "words"),
    [
        ({"state_dict": STATE, "epoch": 3}, "its entry 'state_dict'; not 'epoch'"),
        ({"epoch": 3, "model_ema": STATE}, "its entry 'model_ema'; not 'epoch'"),
        ({"a": {"b": {"net": STATE}}}, "its entry 'a.b.net'"),
        ([STATE, {"lr": 0.1}], "its entry '0'"),
        ({**STATE, "epoch": 3}, "not 'epoch'"),
        ({"mean": torch.zeros(3), "model": STATE}, "its entry 'model'; not 'mean'"),
        ({"generator": nn.Linear(2, 2).state_dict(), "net": STATE}, "'net'; not 'generator'"),
        (
            {
                "state_dict": {**prefixed("model."), "criterion.weight": torch.ones(10)},
                "pytorch-lightning_version": "2",
                "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(8)}}}],
            },
            "its entry 'state_dict'; names without the prefix 'model.'; not "
            "'pytorch-lightning_version', 'optimizer_states', 'criterion.weight'",
        ),
        (AveragedModel(filled(2.0)).state_dict(), "not 'n_averaged'"),
        ({key: each.half() for key, each in STATE.items()}, "float16 converted"),
        ({key: each.bfloat16() for key, each in STATE.items()}, "bfloat16 converted"),
    ],
)
def test_the_only_state_dict_that_fits_is_taken_and_named(given, checkpoint, words):
    module, taken = given(checkpoint)
    assert torch.equal(module.head.weight, STATE["head.weight"])
    assert words in taken


@pytest.mark.parametrize(
    "name",
    ["total_ops", "features.0.total_params", "n_averaged", "epoch", "global_step", "best_acc"],
)
def test_a_counter_beside_the_weights_is_left_out_and_said(given, name):
    module, taken = given({**STATE, name: torch.zeros(1)})
    assert torch.equal(module.head.weight, STATE["head.weight"])
    assert taken.endswith(f"not '{name}'")
    for other in ({name: torch.zeros(2)}, {"head.scale": torch.zeros(1)}):
        with pytest.raises(FileError, match="has an unknown entry"):
            given({**STATE, **other})


def test_a_state_dict_as_it_should_be_needs_no_words(given):
    without_counts = {key: each for key, each in STATE.items() if "num_batches" not in key}
    assert given(STATE)[1] is None
    assert given(without_counts)[1] is None


@pytest.mark.parametrize(
    ("checkpoint", "names"),
    [
        ({"model": STATE, "model_ema": EMA}, ("model", "model_ema")),
        ({"state_dict": STATE, "state_dict_ema": EMA}, ("state_dict", "state_dict_ema")),
        ({**prefixed("student."), **prefixed("teacher.", 3.0)}, ("student", "teacher")),
        ({**STATE, **prefixed("ema.", 3.0)}, (".", "ema")),
        (
            {"state_dict": {**prefixed("model."), **prefixed("ema_model.module.", 3.0)}},
            ("state_dict.model", "state_dict.ema_model.module"),
        ),
    ],
)
def test_of_several_that_fit_none_is_chosen_but_the_one_that_is_named(given, checkpoint, names):
    with pytest.raises(FileError, match="2 state dicts that fit") as caught:
        given(checkpoint)
    assert all(f"'{name}'" in str(caught.value) for name in names)
    assert "#" in str(caught.value)
    for name, state in zip(names, (STATE, EMA), strict=True):
        module, _ = given(checkpoint, f"#{name}")
        assert torch.equal(module.head.weight, state["head.weight"])


def test_an_unknown_entry_is_refused_with_those_that_there_are(given):
    with pytest.raises(FileError, match=r"no entry 'model_em' \(did you mean 'model_ema'\?\)"):
        given({"model": STATE, "model_ema": EMA}, "#model_em")


def test_a_file_whose_name_has_a_number_sign_is_no_entry_of_another(tmp_path):
    torch.save(STATE, tmp_path / "run#3.pth")
    source = weights.parse(str(tmp_path / "run#3.pth"))
    assert (source.path, source.entry) == (tmp_path / "run#3.pth", None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"head.weight": None}, "lacks 'head.weight'"),
        ({"head.extra": torch.ones(1)}, "unknown entry 'head.extra'"),
        ({"features.0.weight": torch.ones(8, 3, 5, 5)}, r"size mismatch for features\.0\.weight"),
        ({"head.bias": torch.full((10,), float("nan"))}, "NaN or infinity in 'head.bias'"),
        ({"head.bias": torch.ones(10, dtype=torch.int8)}, "has int8 in 'head.bias'"),
        ({"head.bias": torch.ones(10).to_sparse()}, "layout torch.sparse_coo, 'head.bias'"),
        ({"head.bias": torch.ones(10, device="meta")}, "device 'meta'"),
    ],
)
def test_what_does_not_fit_is_named_with_what_was_taken(given, change, words):
    state = {k: v for k, v in {**STATE, **change}.items() if v is not None}
    wrapped = {f"module.{key}": each for key, each in state.items()}
    with pytest.raises(FileError, match=words) as caught:
        given({"state_dict": wrapped, "epoch": 3})
    assert "its entry 'state_dict'; names without the prefix 'module.'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_number_of_classes_is_said(given):
    tuned = {**STATE, "head.weight": torch.ones(3, 8), "head.bias": torch.ones(3)}
    module, taken = given({"model": tuned})
    assert module.head.out_features == 3
    assert "3 outputs in 'head' instead of 10" in taken


def test_heads_side_by_side_get_the_same_number_of_classes():
    class Two(Tiny):
        def __init__(self, classes: int = 10):
            super().__init__()
            self.head, self.aux = nn.Linear(8, classes), nn.Linear(8, classes)

    module = Two()
    assert heads.resize(module, Two(4).state_dict()) == ("4 outputs in 'aux', 'head' instead of 10")
    assert (module.head.out_features, module.aux.out_features) == (4, 4)


def test_a_shape_without_its_numbers_gives_no_layer_of_that_size(given):
    huge = {**STATE, "head.weight": torch.ones(1, 1).expand(10**9, 8)}
    huge["head.bias"] = torch.ones(1).expand(10**9)
    with pytest.raises(FileError, match="size mismatch for head"):
        given(huge)


def test_the_versions_of_layers_keep_their_place_without_the_prefix(given):
    state = OrderedDict(prefixed("module."))
    state._metadata = OrderedDict({"": {}, "module": {}, "module.features.1": {"version": 7}})
    seen = []

    class Norm(nn.BatchNorm2d):
        def _load_from_state_dict(self, state_dict, prefix, local_metadata, *others):
            seen.append(local_metadata.get("version"))
            super()._load_from_state_dict(state_dict, prefix, local_metadata, *others)

    module = Tiny()
    module.features[1] = Norm(8)
    given(state, module=module)
    assert seen == [7]


def test_a_model_names_an_entry_of_its_own_checkpoint(tmp_path):
    path = tmp_path / "häuser mit leerzeichen.pth"
    torch.save({"model": STATE, "model_ema": EMA}, path)
    module = Tiny()
    weights.apply(module, replace(MODEL, weights=f"{path}#model_ema"), weights.RANDOM)
    assert torch.equal(module.head.weight, EMA["head.weight"])


def test_a_long_history_beside_the_weights_takes_no_time(given):
    history = [(step, 0.5) for step in range(30_000)]
    begun = time.monotonic()
    given({"state_dict": STATE, "history": history})
    assert time.monotonic() - begun < 5
