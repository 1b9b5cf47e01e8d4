"""The examples: each model gives the answer that its weights were trained for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from deploybench import backends, cli, settings
from deploybench.errors import BackendUnavailable
from deploybench.models import images, references
from deploybench.models.weights import RANDOM
from deploybench.runner.prepared_model import Plan
from deploybench.runner.workbench import Workbench

from .backends.test_contract import COMPILING

EXAMPLE = Path(__file__).parents[2] / "examples" / "efficientnet_lite" / "models.py"
CPU = settings.resolve("cpu", threads=1)

TOO_FAR = ("executorch-int8", "executorch-int8-cpp")
"""XNNPACK's default quantisation leaves a signal of 7 dB of this model; the first class stays."""

pytest.importorskip("efficientnet_lite_pytorch", reason="make setup-all installs the examples")


@pytest.fixture(scope="module")
def model():
    (found,) = references.select(str(EXAMPLE))
    return found


@pytest.fixture(scope="module")
def bench():
    with Workbench(Plan(CPU, RANDOM, inputs=2)) as bench:
        yield bench


def test_the_scriptable_network_has_the_weights_and_answers_of_its_package(model):
    module = model.built()
    original = sys.modules[type(module).__module__].original().eval()
    batch = model.batch(2)
    with torch.inference_mode():
        assert torch.equal(module(batch), original(batch))


def marks(name: str) -> list[pytest.MarkDecorator]:
    if name in COMPILING:
        return [pytest.mark.sweep]
    # What is calibrated takes long before it answers.
    return [pytest.mark.sweep] if backends.registry()[name].precision else []


@pytest.mark.parametrize(
    "backend", [pytest.param(name, marks=marks(name)) for name in backends.registry()]
)
def test_efficientnet_lite0_sees_a_military_uniform_through(backend, model, bench):
    try:
        bench.backend(backend)
    except BackendUnavailable as error:
        pytest.skip(str(error))
    with bench.case(model, backend) as case:
        found = case.check(1)
        if backend in TOO_FAR:
            assert found.reason.endswith("dB, less than 10 dB")
        else:
            assert found.agrees
        logits = case.session.predict(case.prepared.batches(1)[0])
        probabilities = logits.softmax(dim=1)[0]
        assert model.labels[probabilities.argmax()] == "military uniform"
        if case.backend.precision is None:
            assert probabilities.max().item() == pytest.approx(0.4817, abs=1e-3)


def test_infer_prepares_a_photo_as_the_example_says(capsys):
    photo = str(images.PHOTOGRAPH)
    assert cli.main(["infer", f"{EXAMPLE}:LITE0", photo, "--device=cpu"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("military uniform 48.17%\n")
    assert printed.err == ""
