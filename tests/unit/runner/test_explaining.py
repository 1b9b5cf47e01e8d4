"""`explain` names the layer that a deployed form computes otherwise, which these tests plant."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from deploybench import Model, backends, settings
from deploybench.errors import BackendUnavailable
from deploybench.models.weights import RANDOM
from deploybench.records.explanation import Explanation, LayerError
from deploybench.runner.explaining import _Distances, explain, watching
from deploybench.runner.prepared_model import Plan
from deploybench.runner.workbench import Workbench

SEEN = [name for name, each in backends.registry().items() if each.shows_layers()]
QUICK = {"exported", "onnxruntime", "onnxruntime-int8"}
COMPILING = {"compiled", "max-autotune", "aoti", "aoti-cpp"}


INT8 = [name for name in SEEN if backends.registry()[name].precision]
SHOWN = [name for name in SEEN if name not in INT8]


SLOWEST = ("aoti", "aoti-cpp", "max-autotune", "executorch-cpp", "executorch-int8-cpp")


def names(chosen: list[str]) -> list:
    marks = {name: pytest.mark.slow for name in chosen} | dict.fromkeys(SLOWEST, pytest.mark.sweep)
    return [name if name in QUICK else pytest.param(name, marks=marks[name]) for name in chosen]


class Block(nn.Module):
    """A residual block whose activation is in place, and called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x + self.act(self.norm(self.conv(x))))


class Deep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.blocks = nn.Sequential(*[Block() for _ in range(4)])
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.blocks(self.stem(x))).flatten(1))


DEEP = Model("deep", build=Deep, inputs=(3, 16, 16))


def test_values_beyond_the_dtype_have_no_error_and_the_file_can_be_read():
    distances = _Distances("call")
    endless = torch.tensor([1.0, math.inf], dtype=torch.float64)
    distances.add(endless, endless.float(), endless.float())
    assert distances.error("mask") == LayerError("mask", "call", None, None)


def explained(name: str) -> Explanation:
    with Workbench(Plan(settings.resolve("cpu", threads=1), RANDOM, inputs=2)) as bench:
        try:
            bench.backend(name)
        except BackendUnavailable as error:
            pytest.skip(str(error))
        return explain(bench, DEEP, name)


def plant(monkeypatch: pytest.MonkeyPatch, name: str, harm) -> None:
    """Let the format of a backend export a model that `harm` has changed."""
    form = backends.registry()[name].format
    write, expose = form.export, form.expose
    calibrated = getattr(form, "export_calibrated", None)

    def damaged(module):
        changed = copy.deepcopy(module)
        with torch.no_grad():
            harm(changed)
        return changed

    monkeypatch.setattr(
        form, "export", lambda self, module, *given: write(self, damaged(module), *given)
    )
    if calibrated is not None:
        monkeypatch.setattr(
            form,
            "export_calibrated",
            lambda self, module, *given: calibrated(self, damaged(module), *given),
        )
    # Some formats export once more, for the names of the layers or for their values.
    monkeypatch.setattr(
        form,
        "expose",
        lambda self, origin, *given: expose(
            self, replace(origin, module=damaged(origin.module)), *given
        ),
    )


def test_the_backends_whose_layers_can_be_seen():
    onnx = {"onnxruntime", "onnxruntime-cpp", "openvino", "openvino-cpp"}
    assert set(SHOWN) == {"exported", "executorch", "executorch-cpp"} | COMPILING | onnx
    in_int8 = {"onnxruntime-int8", "openvino-int8", "executorch-int8"}
    assert set(INT8) == in_int8 | {f"{name}-cpp" for name in in_int8} | {"inductor-int8"}


@pytest.mark.parametrize("name", names(SHOWN))
def test_a_right_answer_has_no_layer_beyond_the_limit(name):
    found = explained(name)
    assert found.agrees
    assert found.named is None
    names = [each.name for each in found.layers]
    assert names[:5] == ["stem", "blocks.0.conv", "blocks.0.norm", "blocks.0.act", "blocks.0.act@1"]
    assert names[-4:] == ["blocks.3", "blocks", "pool", "head"]
    # These fold a norm into the convolution before it.
    folding = name.startswith(("onnx", "openvino", "executorch"))
    fused = {each.name for each in found.layers if each.error is None}
    assert fused == ({f"blocks.{place}.conv" for place in range(4)} if folding else set())


# What compiles is compiled from the module again to be seen, so a fault of its file is not.
@pytest.mark.parametrize("name", names([name for name in SHOWN if name not in COMPILING]))
def test_the_layer_with_a_planted_fault_is_named(name, monkeypatch):
    plant(monkeypatch, name, lambda module: module.blocks[2].norm.bias.add_(0.01))
    found = explained(name)
    assert not found.agrees
    assert found.named.name == "blocks.2.norm"
    assert found.named.kind == "BatchNorm2d"
    assert found.is_same_when_observed
    before = [each for each in found.layers if each.name.startswith(("stem", "blocks.1"))]
    assert max(each.error or 0.0 for each in before) <= found.limit < found.named.error
    assert found.to_json()["named"] == "blocks.2.norm"


@pytest.mark.parametrize("name", names(INT8))
def test_in_int8_every_layer_has_its_sqnr(name):
    found = explained(name)
    assert found.precision == "int8"
    sizes = {each.name: each.sqnr_db for each in found.layers}
    # Where rounding clips at 0, the value before the activation is not there.
    seen = {name for name, size in sizes.items() if size is not None}
    assert {"stem", "blocks.0", "blocks.3", "pool", "head"} <= seen
    assert all(5 < sizes[name] < 60 for name in seen)
    assert found.named in found.layers


@pytest.mark.parametrize("name", names(INT8))
def test_in_int8_the_layer_with_a_planted_fault_is_named(name, monkeypatch):
    plant(monkeypatch, name, lambda module: module.blocks[2].norm.weight.mul_(-1))
    found = explained(name)
    # Whichever value of the block is the first that there is in int8.
    assert found.named.name in ("blocks.2.norm", "blocks.2.act", "blocks.2.act@1", "blocks.2")
    assert found.named.sqnr_db < 15


def test_a_layer_that_gives_nan_is_named(monkeypatch):
    plant(monkeypatch, "exported", lambda module: module.blocks[1].conv.bias[0].fill_(math.nan))
    found = explained("exported")
    assert found.named.name == "blocks.1.conv"
    assert math.isinf(found.named.error)
    layer = next(each for each in found.to_json()["layers"] if each["layer"] == "blocks.1.conv")
    assert layer["error"] == "inf"


def test_the_model_is_as_it_was_after_it_was_watched():
    module, seen = Deep().eval(), []
    with watching(module, lambda name, kind, value: seen.append(name)):
        module(torch.zeros(1, 3, 16, 16))
    module(torch.zeros(1, 3, 16, 16))
    assert len(seen) == len(set(seen)) == 24
    assert not any(each._forward_hooks for each in module.modules())
