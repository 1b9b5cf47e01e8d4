"""The optimized backend: its answer, and the file it shares with the frozen one."""

from __future__ import annotations

import pytest
import torch

from deploybench import backends, settings
from deploybench.errors import FileError
from deploybench.models import torchvision_zoo, weights
from deploybench.runner.prepared_model import Plan
from deploybench.runner.workbench import Workbench


def test_resnet18_gives_eagers_answer():
    plan = Plan(settings.resolve("cpu"), weights.parse("random"), inputs=2)
    with Workbench(plan) as bench:
        with bench.case(torchvision_zoo.model("resnet18"), "frozen") as frozen:
            assert frozen.check(1).agrees
        with bench.case(torchvision_zoo.model("resnet18"), "optimized") as case:
            assert case.artifact is frozen.artifact
            assert case.check_before_save(1).agrees
            assert case.check(1).agrees


def test_a_file_cut_short_is_named(tmp_path):
    backend, path = backends.registry()["optimized"](settings.resolve("cpu")), tmp_path / "model.ts"
    backend.export(torch.nn.Flatten().eval(), (torch.zeros(1, 3),), path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(FileError, match=r"model\.ts is not a complete TorchScript file"):
        backend.load(torch.nn.Flatten(), path)
