"""The cudagraph backend: refused without a GPU, replayed with one."""

from __future__ import annotations

import pytest
import torch

from deploybench import backends, settings
from deploybench.errors import BackendUnavailable
from tests.unit.gpu import needs_gpu


def make(device):
    return backends.registry()["cudagraph"](settings.resolve(device))


def test_without_a_gpu_it_is_unavailable():
    with pytest.raises(BackendUnavailable, match="--device cuda"):
        make("cpu").require()


def test_the_first_call_of_a_shape_captures_so_that_its_cost_is_counted(monkeypatch):
    done = []

    class Graph:
        def replay(self):
            done.append("replay")

    def capture(session):
        done.append("capture")
        return Graph()

    session = make("cpu").load(torch.nn.Identity(), None)
    monkeypatch.setattr(type(session), "_capture", capture)
    session.put((torch.ones(1, 3),))
    assert done == []
    session.run()
    session.put((torch.ones(1, 3),))
    session.run()
    session.put((torch.ones(2, 3),))
    session.run()
    assert done == ["capture", "replay", "replay", "capture", "replay"]


@needs_gpu
def test_it_answers_each_input_and_captures_again_for_another_shape():
    backend = make("cuda")
    backend.require()
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 5)).eval().cuda()
    batches = [torch.randn(2, 3, 4), torch.randn(2, 3, 4), torch.randn(3, 3, 4)]
    session = backend.load(module, None)
    session.put((batches[0],))
    assert len(session.timed(3)) == 3
    answers = [session.predict((batch,)) for batch in batches]
    with torch.inference_mode():
        expected = [module(batch.cuda()).cpu() for batch in batches]
    torch.testing.assert_close(answers, expected)
    session.close()
    backend.close()


@needs_gpu
def test_what_cannot_be_captured_fails():
    class Reads(torch.nn.Module):
        def forward(self, batch):
            return batch * batch.sum().item()

    session = make("cuda").load(Reads().eval(), None)
    session.put((torch.ones(1, 3),))
    with pytest.raises(RuntimeError):
        session.run()
