"""ExecuTorch in the C++ process: the answer and threads of its Python twin, and what it refuses."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from deploybench import backends, settings
from deploybench.errors import BackendFailed, BackendUnavailable
from deploybench.native import tools

from .test_int8 import Small

here = pytest.mark.skipif(
    importlib.util.find_spec("executorch") is None,
    reason="pip install -r requirements-successors.txt",
)


def made(name: str = "executorch-cpp", threads: int = 1):
    return backends.registry()[name](settings.resolve("cpu", threads=threads))


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A program for one image, with its module and an image."""
    module, batch = Small().eval(), (torch.randn(1, 3, 32, 32),)
    path = tmp_path_factory.mktemp("executorch") / "small.pte"
    made("executorch").export(module, batch, path)
    return module, batch, path


@here
@pytest.mark.slow
def test_it_has_the_answer_of_its_twin_and_the_threads_of_the_run(program):
    module, batch, path = program
    expected = made("executorch").load(module, path).predict(batch)
    for threads in (2, 1):
        backend = made(threads=threads)
        try:
            backend.require()
            session = backend.load(module, path)
            torch.testing.assert_close(session.predict(batch), expected, rtol=0, atol=0)
            another = tuple(torch.randn_like(each) for each in batch)
            with torch.inference_mode():
                torch.testing.assert_close(session.predict(another), module(*another))
            assert len(session.timed(3)) == 3
            words = r"takes float32 \[1,3,32,32\], not float32 \[2,3,32,32\]"
            with pytest.raises(BackendFailed, match=words) as caught:
                session.predict((torch.randn(2, 3, 32, 32),))
            assert "\n" not in str(caught.value)
        finally:
            backend.close()


@here
@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 20, 2000])
def test_a_program_cut_short_fails_in_one_line(program, tmp_path, size):
    module, _, path = program
    cut = tmp_path / "cut.pte"
    cut.write_bytes(path.read_bytes()[:size])
    backend = made()
    try:
        backend.require()
        words = r"cut\.pte is not a complete ExecuTorch program \(.+\); export it again$"
        with pytest.raises(BackendFailed, match=words):
            backend.load(module, cut)
    finally:
        backend.close()


@here
def test_a_wheel_without_the_runtime_for_cpp_is_named(monkeypatch, tmp_path):
    find = tools.package_folder
    monkeypatch.setattr(
        tools,
        "package_folder",
        lambda name, extra: tmp_path if name == "executorch" else find(name, extra),
    )
    with pytest.raises(BackendUnavailable, match=r"has no lib/libexecutorch\.so: install"):
        made().require()
