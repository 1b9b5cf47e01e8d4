"""What the backends that read an ONNX file from Python share: answers, and what they refuse."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from deploybench import backends, settings
from deploybench.errors import BackendFailed
from deploybench.models import torchvision_zoo, weights
from deploybench.runner.prepared_model import Plan
from deploybench.runner.workbench import Workbench, one_line


@pytest.fixture(params=["onnxruntime", "openvino"])
def backend(request):
    made = backends.registry()[request.param](settings.resolve("cpu"))
    for package in made.packages():
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install -r requirements-successors.txt")
    return made


@pytest.fixture
def module():
    return torch.nn.Linear(3, 2).eval()


@pytest.fixture
def path(backend, module, tmp_path):
    backend.require()
    backend.export(module, (torch.zeros(1, 3),), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_resnet18_gives_eagers_answer(backend):
    plan = Plan(settings.resolve("cpu"), weights.parse("random"), inputs=2)
    with (
        Workbench(plan) as bench,
        bench.case(torchvision_zoo.model("resnet18"), backend.name) as case,
    ):
        assert case.check(1).agrees


def test_an_answer_stays_when_the_next_is_asked_for(backend, module, path):
    session = backend.load(module, path)
    batches = [torch.randn(1, 3) for _ in range(3)]
    answers = [session.predict((batch,)) for batch in batches]
    with torch.inference_mode():
        torch.testing.assert_close(answers, [module(batch) for batch in batches])


def test_another_shape_is_refused_in_one_line(backend, module, path):
    session = backend.load(module, path)
    with pytest.raises(BackendFailed) as caught, one_line("model", backend.name):
        session.predict((torch.zeros(2, 3),))
    assert "\n" not in str(caught.value)


def test_a_file_cut_short_fails_in_one_line(backend, module, path):
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(BackendFailed) as caught, one_line("model", backend.name):
        backend.load(module, path)
    assert "\n" not in str(caught.value)
