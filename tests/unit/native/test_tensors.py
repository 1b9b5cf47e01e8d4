"""Tensors cross to the C++ program and back: any dtype, by name, nested, and which are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, Optional

import pytest
import torch
from torch import Tensor

from deploybench import settings
from deploybench.errors import BackendFailed
from deploybench.native.build import ensure_runner
from deploybench.native.process import Runner
from tests.unit.gpu import needs_gpu
from tests.unit.native.scripted import Plain, called, save
from tests.unit.native.serving import DTYPES

CPU = settings.resolve("cpu")


class Casts(torch.nn.Module):
    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"cast": x.to(self.dtype), "none of it": x[:0].to(self.dtype), "sum": x.sum()}


@pytest.mark.parametrize("dtype", DTYPES)
def test_outputs_of_any_dtype_and_shape_come_back_as_they_are(runner, tmp_path, dtype):
    batch = torch.tensor([[0.0, 1.0, 1.5], [2.0, 3.0, 127.0]])
    outputs = called(runner, Casts(dtype), tmp_path, batch).outputs()
    expected = {"cast": batch.to(dtype), "none of it": batch[:0].to(dtype), "sum": batch.sum()}
    assert list(outputs) == list(expected)
    for name, tensor in expected.items():
        assert outputs[name].dtype == tensor.dtype
        assert torch.equal(outputs[name], tensor)


class Adds(torch.nn.Module):
    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        product = x.to(torch.float64) * weight
        return product if bias is None else product + bias


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if not dtype.is_floating_point])
def test_inputs_of_any_other_dtype_than_the_runs_are_whole_numbers(runner, tmp_path, dtype):
    inputs = (torch.tensor([1, 0, 1]).to(dtype), torch.tensor([0.5, 1.0, 2.0]))
    assert called(runner, Adds(), tmp_path, inputs).output().tolist() == [0.5, 0.0, 2.0]


def test_inputs_may_be_named_and_left_out(runner, tmp_path):
    x, weight, bias = torch.ones(2), torch.tensor([2.0, 3.0]), torch.tensor([10.0, 20.0])
    named = {"bias": bias, "weight": weight, "x": x}
    assert called(runner, Adds(), tmp_path, named).output().tolist() == [12.0, 23.0]
    runner.put((x, weight))
    runner.run(1)
    assert runner.output().tolist() == [2.0, 3.0]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (
            {"x": torch.ones(1), "wait": torch.ones(1)},
            "the model has no input 'wait'; it takes: x,",
        ),
        (torch.ones(1), "input 'weight' is missing; the model takes: x, weight, bias"),
        (tuple(torch.ones(1) for _ in range(4)), r"the model has no input '3'"),
    ],
)
def test_inputs_that_the_model_does_not_take_are_refused(runner, tmp_path, inputs, words):
    with pytest.raises(BackendFailed, match=words) as caught:
        called(runner, Adds(), tmp_path, inputs)
    assert "\n" not in str(caught.value)
    assert runner.alive


# Not as a class: TorchScript cannot read the annotations of one, which are text in this file.
Detections = NamedTuple("Detections", [("boxes", Tensor), ("masks", Optional[Tensor])])  # noqa: UP014, UP045


class Nests(torch.nn.Module):
    def forward(self, x: Tensor) -> tuple[Detections, list[dict[str, Tensor]]]:
        return Detections(x, None), [{"scores": x + 1, "a name": x + 2}, {"scores": x + 3}]


def test_nested_outputs_are_named_by_their_paths(runner, tmp_path):
    outputs = called(runner, Nests(), tmp_path, torch.zeros(1)).outputs()
    values = {name: tensor.item() for name, tensor in outputs.items()}
    assert values == {"0.boxes": 0, "1.0.scores": 1, "1.0.a name": 2, "1.1.scores": 3}
    assert runner.output().item() == 0


def test_a_lone_output_is_named_output(runner, tmp_path):
    batch = torch.randn(2, 12)
    outputs = called(runner, Plain(), tmp_path, batch).outputs()
    assert list(outputs) == [""]
    assert torch.equal(outputs[""], runner.output())


class GivesNumber(torch.nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, float]:
        return x, 1.5


class GivesText(torch.nn.Module):
    def forward(self, x: Tensor) -> dict[str, str]:
        return {"text": "cheese"}


class GivesNothing(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor | None:
        return None


class GivesComplex(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.complex(x, x)


class GivesTab(torch.nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"a\tb": x}


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (GivesNumber(), "output '1' is a float, not a tensor"),
        (GivesText(), "output 'text' is a str, not a tensor"),
        (GivesNothing(), "the model returned no tensor"),
        (GivesComplex(), "the output has dtype ComplexFloat, which cannot be sent"),
        (GivesTab(), "tab"),
    ],
)
def test_outputs_that_are_no_tensors_are_refused_in_one_line(runner, tmp_path, module, words):
    with pytest.raises(BackendFailed, match=words) as caught:
        called(runner, module, tmp_path, torch.zeros(1)).outputs()
    assert "\n" not in str(caught.value)
    assert runner.alive


class KeysClash(torch.nn.Module):
    def forward(self, x: Tensor) -> dict[str, dict[str, Tensor]]:
        return {"a": {"b.c": x}, "a.b": {"c": x}}


def test_two_outputs_of_one_name_are_refused(runner, tmp_path):
    with pytest.raises(BackendFailed, match=r"two outputs have the name 'a\.b\.c'"):
        called(runner, KeysClash(), tmp_path, torch.zeros(1)).outputs()


def test_a_floating_point_input_of_another_dtype_than_the_runs_is_refused(runner, tmp_path):
    with pytest.raises(BackendFailed, match="an input is float64 instead of float32"):
        called(runner, Plain(), tmp_path, torch.zeros(1, 12, dtype=torch.float64))


class CountsInPlace(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.is_contiguous(memory_format=torch.channels_last):
            x.add_(1)
        return x


def test_channels_last_is_laid_out_once_and_not_in_each_call(tmp_path):
    """On a CPU a call with copies takes its input where it lies: a second one sees the first's."""
    with Runner(ensure_runner(), replace(CPU, channels_last=True)) as runner:
        runner.load(save(CountsInPlace(), tmp_path / "counts.ts"))
        runner.put(torch.zeros(2, 3, 4, 4))
        runner.timed(3, "copies")
        assert torch.equal(runner.output(), torch.full((2, 3, 4, 4), 3.0))


@needs_gpu
@pytest.mark.parametrize("channels_last", [False, True])
def test_inputs_and_outputs_cross_to_a_gpu_and_back(tmp_path, channels_last):
    settings_here = replace(settings.resolve("cuda"), channels_last=channels_last)
    x = torch.randn(2, 3, 4, 4)
    with Runner(ensure_runner(), settings_here) as runner:
        runner.load(save(Nests(), tmp_path / "nests.ts"))
        runner.put(x)
        assert len(runner.timed(3, "copies")) == 3
        outputs = runner.outputs()
        assert torch.equal(outputs["0.boxes"], x)
        assert torch.equal(outputs["1.1.scores"], x + 3)
