"""ExecuTorch: its answer, its threads, and what it refuses."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from deploybench import backends, settings
from deploybench.errors import BackendUnavailable, FileError

from .test_int8 import Small

NAMES = ("executorch", "executorch-int8", "executorch-cpp", "executorch-int8-cpp")
here = pytest.mark.skipif(
    importlib.util.find_spec("executorch") is None,
    reason="pip install -r requirements-successors.txt",
)


def backend(name: str = "executorch", threads: int = 1):
    return backends.registry()[name](settings.resolve("cpu", threads=threads))


@pytest.mark.parametrize("name", NAMES)
def test_on_a_gpu_it_is_unavailable(name, monkeypatch):
    made = backend(name)
    monkeypatch.setattr(type(made.settings), "on_cuda", property(lambda self: True))
    with pytest.raises(BackendUnavailable, match=rf"{name} runs only on CPUs .* --device cpu"):
        made.require()


@here
def test_a_file_that_is_no_program_is_named(tmp_path, capfd):
    path = tmp_path / "model.pte"
    path.write_bytes(b"no program at all")
    with pytest.raises(FileError, match=r"model\.pte is not a complete ExecuTorch program"):
        backend().load(Small(), path)
    assert "Traceback" not in capfd.readouterr().err


@here
@pytest.mark.slow
def test_the_program_has_the_weights_the_threads_of_the_run_and_one_batch_size(tmp_path, capfd):
    from executorch.extension.pybindings import portable_lib

    module, batch, path = Small().eval(), (torch.randn(1, 3, 32, 32),), tmp_path / "small.pte"
    with torch.inference_mode():
        expected = module(*batch)
    assert backend().export(module, batch, path) is None
    for threads in (2, 1):
        session = backend(threads=threads).load(torch.nn.Identity(), path)
        assert portable_lib._threadpool_get_thread_count() == threads
        torch.testing.assert_close(session.predict(batch), expected)
    assert "threadpool" not in capfd.readouterr().err, "the log of the runtime"
    with pytest.raises(RuntimeError) as caught:
        session.predict((torch.randn(2, 3, 32, 32),))
    assert "\n" not in str(caught.value)
