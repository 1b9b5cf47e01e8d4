"""The exported backend: what its archive holds, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from deploybench import backends, settings
from deploybench.errors import BackendFailed, FileError
from deploybench.runner.workbench import one_line


@pytest.fixture
def backend():
    return backends.registry()["exported"](settings.resolve("cpu"))


class Nests(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)

    def forward(self, x, shift):
        return {"out": self.linear(x) + shift, "parts": [x * 2, shift > 0]}


def test_the_weights_come_from_the_archive_and_the_nesting_is_kept(backend, tmp_path):
    module, batch = Nests().eval(), (torch.randn(1, 3), torch.randn(2))
    with torch.inference_mode():
        expected = module(*batch)
    in_memory = backend.export(module, batch, tmp_path / "model.exported.pt2")
    # Another module in its place: the deployed one knows nothing of it.
    session = backend.load(Nests(), tmp_path / "model.exported.pt2")
    torch.testing.assert_close(session.predict(batch), expected)
    with torch.inference_mode():
        torch.testing.assert_close(in_memory(*batch), expected)


def test_an_input_of_another_shape_is_refused_in_one_line(backend, tmp_path):
    module, path = torch.nn.Linear(3, 2).eval(), tmp_path / "model.exported.pt2"
    backend.export(module, (torch.zeros(1, 3),), path)
    session = backend.load(module, path)
    with pytest.raises(BackendFailed, match=r"\b1\b") as caught, one_line("model", "exported"):
        session.predict((torch.zeros(2, 3),))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [0, 200, -100])
def test_an_archive_cut_short_is_named_without_a_traceback(backend, tmp_path, capfd, kept):
    path = tmp_path / "model.exported.pt2"
    backend.export(torch.nn.Linear(3, 2).eval(), (torch.zeros(1, 3),), path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(FileError, match=r"model\.exported\.pt2 is not a complete archive"):
        backend.load(torch.nn.Flatten(), path)
    assert "Traceback" not in capfd.readouterr().err


def test_a_missing_archive_is_named(backend, tmp_path):
    with pytest.raises(FileError, match=r"missing\.pt2 is not a complete archive"):
        backend.load(torch.nn.Flatten(), tmp_path / "missing.pt2")
