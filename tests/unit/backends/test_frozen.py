"""The frozen backend: its answer, and that a sweep over models does not grow."""

from __future__ import annotations

import psutil
import pytest
import torch

from deploybench import backends, settings
from deploybench.errors import FileError
from deploybench.models import torchvision_zoo, weights
from deploybench.runner.prepared_model import Plan
from deploybench.runner.workbench import Workbench


@pytest.fixture
def backend():
    return backends.registry()["frozen"](settings.resolve("cpu"))


def test_resnet18_gives_eagers_answer_before_the_save_and_after():
    plan = Plan(settings.resolve("cpu"), weights.parse("random"), inputs=2)
    with Workbench(plan) as bench:
        with bench.case(torchvision_zoo.model("resnet18"), "frozen") as case:
            parameters = {name: each.clone() for name, each in module_state(case)}
            assert case.check_before_save(1).agrees
            assert case.check(1).agrees
        assert all(torch.equal(each, parameters[name]) for name, each in module_state(case))
        # The program in memory outlives the session, for others that deploy the same file.
        with bench.case(torchvision_zoo.model("resnet18"), "frozen") as case:
            assert case.check_before_save(1).agrees


def module_state(case):
    return case.prepared.module.state_dict().items()


def test_a_sweep_over_models_keeps_none_of_their_weights(backend, tmp_path):
    weight_bytes, batch, resident = 4 * 2**23, torch.zeros(1, 2**12), []
    for _ in range(16):
        module = torch.nn.Linear(2**12, 2**11).eval()
        backend.export(module, (batch,), tmp_path / "model.ts")
        session = backend.load(module, tmp_path / "model.ts")
        session.predict((batch,))
        session.close()
        del session
        backend.forget()
        resident.append(psutil.Process().memory_info().rss)
    assert resident[-1] - resident[3] < 4 * weight_bytes


class Doubles(torch.nn.Module):
    """Twice the size, by a function with overloads."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.interpolate(x, scale_factor=2.0)


def test_a_function_with_overloads_can_be_compiled_again_after_a_model_was_forgotten(
    backend, tmp_path
):
    batch = torch.ones(1, 3, 4, 4)
    for _ in range(2):
        backend.export(Doubles().eval(), (batch,), tmp_path / "model.ts")
        backend.forget()
    session = backend.load(Doubles(), tmp_path / "model.ts")
    assert session.predict((batch,)).shape == (1, 3, 8, 8)


def test_a_file_cut_short_is_named(backend, tmp_path):
    path = tmp_path / "model.ts"
    backend.export(torch.nn.Flatten().eval(), (torch.zeros(1, 3),), path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(FileError, match=r"model\.ts is not a complete TorchScript file"):
        backend.load(torch.nn.Flatten(), path)
