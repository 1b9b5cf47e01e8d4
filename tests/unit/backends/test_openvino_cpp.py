"""The openvino-cpp backend: its answer, and what it refuses."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import pytest
import torch

from deploybench import backends, settings
from deploybench.errors import BackendFailed, BackendUnavailable

needs_packages = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "openvino")),
    reason="pip install -r requirements-successors.txt",
)


@pytest.fixture
def backend():
    made = backends.registry()["openvino-cpp"](settings.resolve("cpu"))
    yield made
    made.close()


@needs_packages
def test_each_input_has_its_answer_and_another_shape_is_refused(backend, tmp_path):
    backend.require()
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten()).eval()
    batches = [torch.randn(1, 3, 8, 8) for _ in range(3)]
    backend.export(module, (batches[0],), tmp_path / "model.onnx")
    session = backend.load(module, tmp_path / "model.onnx")
    answers = [session.predict((batch,)) for batch in batches]
    with torch.inference_mode():
        torch.testing.assert_close(answers, [module(batch) for batch in batches])
    assert len(session.timed(3)) == 3
    with pytest.raises(BackendFailed) as caught:
        session.predict((torch.zeros(2, 3, 8, 8),))
    assert "\n" not in str(caught.value)


@needs_packages
def test_a_file_cut_short_fails_in_one_line(backend, tmp_path):
    backend.require()
    path = tmp_path / "model.onnx"
    backend.export(torch.nn.Linear(3, 2).eval(), (torch.zeros(1, 3),), path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(
        BackendFailed, match=r"model\.onnx is not a complete ONNX file .*export it again"
    ):
        backend.load(torch.nn.Flatten(), path)


@needs_packages
def test_on_a_gpu_it_is_unavailable():
    on_gpu = replace(settings.resolve("cpu"), device="cuda:0")
    with pytest.raises(BackendUnavailable, match="--device cpu"):
        backends.registry()["openvino-cpp"](on_gpu).require()


def test_without_the_package_it_is_unavailable(backend, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendUnavailable, match=r"openvino is not installed: pip install -r"):
        backend.require()
