"""The cudagraph-cpp backend: refused without a GPU, replayed in the C++ process with one."""

from __future__ import annotations

import pytest
import torch

from deploybench import backends, settings
from deploybench.errors import BackendUnavailable
from tests.unit.gpu import needs_gpu


def make(device):
    return backends.registry()["cudagraph-cpp"](settings.resolve(device))


def test_without_a_gpu_it_is_unavailable():
    with pytest.raises(BackendUnavailable, match="--device cuda"):
        make("cpu").require()


@needs_gpu
def test_it_answers_each_input_and_captures_again_for_another_shape(tmp_path):
    backend = make("cuda")
    try:
        try:
            backend.require()
        except BackendUnavailable as error:
            pytest.skip(str(error))
        module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 5)).eval().cuda()
        batches = [torch.randn(2, 3, 4), torch.randn(2, 3, 4), torch.randn(3, 3, 4)]
        path = tmp_path / "frozen.ts"
        backend.export(module, (batches[0].cuda(),), path)
        session = backend.load(module, path)
        answers = [session.predict((batch,)) for batch in batches]
        with torch.inference_mode():
            expected = [module(batch.cuda()).cpu() for batch in batches]
        torch.testing.assert_close(answers, expected)
        session.put((batches[0],))
        assert len(session.timed(3)) == 3
        assert session.peak_device_bytes() > 0
        session.close()
    finally:
        backend.close()
