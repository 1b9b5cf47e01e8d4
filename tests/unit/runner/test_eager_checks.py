"""A model that has no right answer of its own is refused before any backend has it, in one line."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from deploybench import Model, settings
from deploybench.errors import UsageError
from deploybench.models import torchvision_zoo
from deploybench.models.weights import RANDOM
from deploybench.runner.eager_checks import require_sound
from deploybench.runner.prepared_model import Plan
from deploybench.runner.workbench import Workbench

from .. import own_models
from ..own_models import BAD, SHAPE, WHAT_IS_SAID
from ..tiny import MODEL, WITH_DICT, Tiny

SETTINGS = settings.Settings("cpu", 1, 1)


@pytest.fixture(scope="module")
def bench():
    with Workbench(Plan(settings.resolve("cpu", threads=1), RANDOM, inputs=2)) as bench:
        yield bench


def check(module: nn.Module, count: int = 2) -> None:
    images = torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(0))
    require_sound("mine", module.eval(), images, images.split(1), SETTINGS)


def test_every_bad_model_has_its_words():
    assert [model.name for model in BAD] == list(WHAT_IS_SAID)


@pytest.mark.parametrize("model", BAD, ids=lambda model: model.name)
def test_a_bad_model_is_refused_in_one_line(bench, model):
    with pytest.raises(UsageError) as caught, bench.case(model, "eager"):
        pass
    said = str(caught.value)
    assert said.startswith(f"{model.name} ")
    assert WHAT_IS_SAID[model.name] in said
    assert "\n" not in said


def test_a_bad_model_is_built_once_however_many_backends_ask(bench):
    built = []
    model = Model("built", build=lambda: built.append(1), inputs=SHAPE)
    for backend in ("eager", "scripted"):
        with pytest.raises(UsageError, match="returned a NoneType"), bench.case(model, backend):
            pass
    assert len(built) == 1


@pytest.mark.parametrize("model", [MODEL, WITH_DICT], ids=lambda model: model.name)
def test_a_good_model_is_not_refused(model):
    check(model.built(), count=4)


def test_a_good_model_that_prints_is_not_refused():
    check(own_models.Prints())


def test_a_zoo_model_in_half_precision_is_not_refused():
    module = torchvision_zoo.model("squeezenet1_1").build().to(torch.bfloat16)
    images = torch.randn(3, 3, 64, 64).to(torch.bfloat16)
    chosen = settings.Settings("cpu", 1, 1, dtype="bfloat16")
    require_sound("squeezenet1_1", module, images, images.split(1), chosen)


def test_one_input_alone_cannot_show_how_it_answers_a_batch():
    check(own_models.ByMates(), count=1)
    with pytest.raises(UsageError, match="differently"):
        check(own_models.ByMates(), count=3)


def test_an_output_without_the_batch_first_is_refused():
    class Sum(Tiny):
        def forward(self, x):
            return super().forward(x).sum()

    with pytest.raises(UsageError, match=r"in shape or in kind.*the batch as its first dimension"):
        check(Sum())


def test_infinity_that_masks_and_whole_numbers_are_answers():
    class Masks(Tiny):
        def forward(self, x):
            logits = super().forward(x)
            logits[:, 0] = -torch.inf
            return logits, logits.argmax(dim=1)

    check(Masks())
