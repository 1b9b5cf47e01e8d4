"""The traced backend: its answer, and the file it deploys."""

from __future__ import annotations

import pytest
import torch

from deploybench import backends, settings
from deploybench.errors import FileError
from deploybench.models import torchvision_zoo, weights
from deploybench.runner.prepared_model import Plan
from deploybench.runner.workbench import Workbench


def test_resnet18_gives_eagers_answer_before_the_save_and_after():
    plan = Plan(settings.resolve("cpu"), weights.parse("random"), inputs=2)
    with Workbench(plan) as bench, bench.case(torchvision_zoo.model("resnet18"), "traced") as case:
        assert case.check_before_save(1).agrees
        assert case.check(1).agrees
        assert case.artifact.bytes > 4 * sum(
            each.numel() for each in case.prepared.module.parameters()
        )


def test_a_file_that_is_not_torchscript_is_named(tmp_path):
    backend = backends.registry()["traced"](settings.resolve("cpu"))
    (tmp_path / "model.ts").write_text("no program")
    with pytest.raises(FileError, match=r"model\.ts is not a complete TorchScript file"):
        backend.load(torch.nn.Flatten(), tmp_path / "model.ts")
