"""The onnxruntime-cpp backend: the answer and threads of its Python twin, and what it refuses."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from deploybench import backends, settings
from deploybench.errors import BackendFailed, BackendUnavailable
from deploybench.native import tools

needs_packages = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="pip install -r requirements-successors.txt",
)


def make(name: str = "onnxruntime-cpp", **changes: object):
    return backends.registry()[name](replace(settings.resolve("cpu"), **changes))


@pytest.fixture
def backend():
    made = make()
    yield made
    made.close()


@needs_packages
def test_each_input_has_the_answer_of_the_twin_to_the_bit(backend, tmp_path):
    backend.require()
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten()).eval()
    batches = [(torch.randn(1, 3, 8, 8),) for _ in range(3)]
    backend.export(module, batches[0], tmp_path / "model.onnx")
    session = backend.load(module, tmp_path / "model.onnx")
    twin = make("onnxruntime").load(module, tmp_path / "model.onnx")
    answers = [session.predict(batch) for batch in batches]
    torch.testing.assert_close(answers, [twin.predict(batch) for batch in batches], rtol=0, atol=0)
    with torch.inference_mode():
        torch.testing.assert_close(answers, [module(*batch) for batch in batches])
    assert len(session.timed(3)) == 3
    with pytest.raises(BackendFailed, match=r"takes float32 \[1,3,8,8\]") as caught:
        session.predict((torch.zeros(2, 3, 8, 8),))
    assert "\n" not in str(caught.value)


@needs_packages
def test_it_computes_with_the_threads_that_it_was_given(tmp_path):
    """A pool of ONNX Runtime has a thread less, because the caller computes too."""
    module = torch.nn.Linear(3, 2).eval()
    made = make(threads=3)
    try:
        made.require()
        made.export(module, (torch.zeros(1, 3),), tmp_path / "model.onnx")
        process = made._process()
        session = made.load(module, tmp_path / "model.onnx")
        loaded = threads_of(process.pid)
        session.close()
        assert loaded - threads_of(process.pid) == 2
    finally:
        made.close()


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


@needs_packages
def test_half_precision_has_the_answer_of_the_twin(tmp_path):
    module = torch.nn.Linear(3, 2).half().eval()
    made, twin = make(dtype="float16"), make("onnxruntime", dtype="float16")
    batch = (torch.randn(1, 3).half(),)
    try:
        made.require()
        made.export(module, batch, tmp_path / "model.onnx")
        answer = made.load(module, tmp_path / "model.onnx").predict(batch)
    finally:
        made.close()
    assert answer.dtype == torch.float16
    assert torch.equal(answer, twin.load(module, tmp_path / "model.onnx").predict(batch))


@needs_packages
def test_a_file_cut_short_fails_in_one_line(backend, tmp_path):
    backend.require()
    path = tmp_path / "model.onnx"
    backend.export(torch.nn.Linear(3, 2).eval(), (torch.zeros(1, 3),), path)
    path.write_bytes(path.read_bytes()[:50])
    words = r"model\.onnx is not a complete ONNX file \(.+\); export it again"
    with pytest.raises(BackendFailed, match=words):
        backend.load(torch.nn.Flatten(), path)


@needs_packages
def test_on_a_gpu_it_is_unavailable():
    with pytest.raises(BackendUnavailable, match="--device cpu"):
        make(device="cuda:0").require()


@needs_packages
def test_an_onnxruntime_without_its_library_is_named(backend, monkeypatch, tmp_path):
    find = tools.package_folder
    monkeypatch.setattr(
        tools,
        "package_folder",
        lambda name, extra: tmp_path if name == "onnxruntime" else find(name, extra),
    )
    with pytest.raises(BackendUnavailable, match=r"has no libonnxruntime\.so: install"):
        backend.require()


def test_without_the_package_it_is_unavailable(backend, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendUnavailable, match=r"onnxruntime is not installed: pip install -r"):
        backend.require()
