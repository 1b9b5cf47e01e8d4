"""The openvino backend: its answer, its precision, and what it refuses."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import pytest

from deploybench import backends, settings
from deploybench.errors import BackendUnavailable

needs_packages = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "openvino")),
    reason="pip install -r requirements-successors.txt",
)


def make():
    return backends.registry()["openvino"](settings.resolve("cpu"))


@needs_packages
def test_on_a_gpu_it_is_unavailable():
    on_gpu = replace(settings.resolve("cpu"), device="cuda:0")
    with pytest.raises(BackendUnavailable, match="--device cpu"):
        backends.registry()["openvino"](on_gpu).require()


def test_without_the_package_it_is_unavailable(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendUnavailable, match=r"openvino is not installed: pip install -r"):
        make().require()
