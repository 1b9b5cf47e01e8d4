"""The registry, and what each backend promises."""

from __future__ import annotations

import sys

import pytest
import torch

from deploybench import backends, settings
from deploybench.backends.base import Backend
from deploybench.errors import FileError, UsageError
from deploybench.models import torchvision_zoo, weights
from deploybench.runner.prepared_model import Plan
from deploybench.runner.workbench import Workbench
from deploybench.timing.memory import DeviceMemory

NAMES = list(backends.registry())


class Doubling(torch.nn.Module):
    def forward(self, batch):
        return batch.flatten(1) * 2


def test_the_contracts_backends_are_there_in_the_order_of_their_columns():
    titles = [backends.registry()[name].title for name in ("eager", "scripted", "cpp")]
    assert titles == ["PyTorch", "TorchScript (Python)", "TorchScript (C++)"]
    orders = [backend.order for backend in backends.registry().values()]
    assert orders == sorted(set(orders))


def test_a_file_in_the_package_is_all_that_a_backend_needs(tmp_path, monkeypatch):
    (tmp_path / "another.py").write_text(
        "from deploybench.backends.base import Backend\n"
        "class Another(Backend):\n"
        "    name, title, order = 'another', 'Another', 15\n"
        "    def load(self, module, artifact): ...\n"
    )
    monkeypatch.setattr(backends, "__path__", [*backends.__path__, str(tmp_path)])
    backends.registry.cache_clear()
    try:
        assert list(backends.registry()).index("another") == 2
        assert backends.select("another,eager") == ["another", "eager"]
    finally:
        monkeypatch.undo()
        backends.registry.cache_clear()
        sys.modules.pop("deploybench.backends.another")


def test_select():
    assert backends.select("all") == NAMES
    assert backends.select("cpp, eager,cpp") == ["cpp", "eager"]


@pytest.mark.parametrize("spec", ["scriptd", "eager,scriptd"])
def test_an_unknown_backend_is_named_with_the_nearest(spec):
    with pytest.raises(UsageError, match="unknown backend 'scriptd': did you mean 'scripted'"):
        backends.select(spec)


def test_an_empty_name_is_not_a_backend():
    with pytest.raises(UsageError, match="unknown backend ','"):
        backends.select(",")


@pytest.mark.parametrize("name", ["eager", "scripted", "cpp"])
def test_a_session_answers_and_times_itself(name, tmp_path):

    module, batch = Doubling().eval(), torch.arange(12.0).reshape(2, 6)
    backend = backends.registry()[name](settings.resolve("cpu"))
    backend.require()
    try:
        artifact = None
        if backend.format is not None:
            artifact = tmp_path / backend.format.suffix
            backend.export(module, (batch,), artifact)
        session = backend.load(module, artifact)
        assert torch.equal(session.predict((batch,)), module(batch))
        assert torch.equal(session.predict((batch + 1,)), module(batch + 1))
        samples = session.timed(3)
        assert len(samples) == 3
        assert min(samples) > 0
        assert torch.equal(session.output(), module(batch + 1))
        session.close()
    finally:
        backend.close()


@pytest.mark.parametrize("name", ["scripted", "cpp"])
def test_an_artifact_cut_short_is_named(name, tmp_path):
    module, batch = Doubling().eval(), torch.zeros(1, 4)
    backend = backends.registry()[name](settings.resolve("cpu"))
    path = tmp_path / "model.ts"
    backend.export(module, (batch,), path)
    path.write_bytes(path.read_bytes()[:100])
    try:
        with pytest.raises(Exception, match=r"model\.ts") as caught:
            backend.load(module, path)
        assert "\n" not in str(caught.value)
    finally:
        backend.close()


def test_a_missing_artifact_is_named(tmp_path):
    backend = backends.registry()["scripted"](settings.resolve("cpu"))
    with pytest.raises(FileError, match=r"does not exist; .* tools/generate_ts\.py"):
        backend.load(Doubling(), tmp_path / "missing.ts")


def test_a_backend_without_artifact_is_never_asked_for_one():
    class Plain(Backend):
        name, title, order = "plain", "Plain", 99

        def load(self, module, artifact): ...

    with pytest.raises(NotImplementedError):
        Plain(settings.resolve("cpu")).export(Doubling(), (torch.zeros(1),), None)


@pytest.mark.parametrize(("through_torch", "told"), [(True, 7), (False, None)])
def test_what_torch_does_not_allocate_has_no_figure_of_gpu_memory(monkeypatch, through_torch, told):
    monkeypatch.setattr(DeviceMemory, "peak", lambda *_: 7)
    monkeypatch.setattr(
        backends.registry()["eager"], "allocates_through_torch", through_torch, raising=False
    )
    plan = Plan(settings.resolve("cpu"), weights.parse("random"), inputs=1)
    with (
        Workbench(plan) as bench,
        bench.case(torchvision_zoo.model("squeezenet1_1"), "eager") as case,
    ):
        assert case.device_memory_bytes == told


def test_the_backends_that_torch_does_not_allocate_for():
    classes = backends.registry().values()
    others = [each.name for each in classes if not each.allocates_through_torch]
    assert others == ["aoti", "aoti-cpp", "onnxruntime"]
