"""The onnxruntime backend: its answer, its provider, and what it refuses."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest
import torch

from deploybench import backends, settings
from deploybench.backends import _onnx_runtime
from deploybench.errors import BackendFailed, BackendUnavailable

needs_packages = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="pip install -r requirements-successors.txt",
)


def make():
    return backends.registry()["onnxruntime"](settings.resolve("cpu"))


@needs_packages
def test_it_writes_nothing_to_the_terminal_where_there_is_no_home():
    code = "from deploybench import backends; backends.registry(); import onnxruntime"
    environment = {**os.environ, "HOME": os.devnull}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout + ran.stderr == ""


@needs_packages
def test_on_a_device_the_input_is_taken_and_the_logits_are_left_there(tmp_path):
    import onnxruntime

    backend, module = make(), torch.nn.Linear(3, 2).eval()
    backend.export(module, (torch.zeros(2, 3),), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(
        tmp_path / "model.onnx", providers=["CPUExecutionProvider"]
    )
    # No GPU is here; the same calls with the CPU as the device.
    forward = _onnx_runtime.calls_on_device(session, "cpu")
    batches = [torch.randn(2, 3) for _ in range(3)]
    answers = [forward(batch) for batch in batches]
    with torch.inference_mode():
        torch.testing.assert_close(answers, [module(batch) for batch in batches])


@needs_packages
def test_a_provider_that_is_not_there_is_named(monkeypatch):
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["AzureExecutionProvider"])
    with pytest.raises(BackendUnavailable, match="has no CPUExecutionProvider"):
        make().require()


@needs_packages
def test_another_provider_in_its_place_is_an_error(monkeypatch, tmp_path):
    import onnxruntime

    backend, module = make(), torch.nn.Linear(3, 2).eval()
    backend.export(module, (torch.zeros(1, 3),), tmp_path / "model.onnx")
    monkeypatch.setattr(
        onnxruntime.InferenceSession, "get_providers", lambda self: ["OtherExecutionProvider"]
    )
    with pytest.raises(BackendFailed, match="although CPUExecutionProvider was requested"):
        backend.load(module, tmp_path / "model.onnx")


def test_without_the_package_it_is_unavailable(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendUnavailable, match=r"onnxruntime is not installed: pip install -r"):
        make().require()
