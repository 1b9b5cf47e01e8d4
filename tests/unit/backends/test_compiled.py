"""What Inductor compiles here: its answer, what is left behind, and where it cannot compile."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import torch._inductor.codecache

from deploybench import backends, settings
from deploybench.backends._compiled import CompiledSession
from deploybench.errors import BackendFailed, BackendUnavailable
from deploybench.models import torchvision_zoo, weights
from deploybench.runner.prepared_model import Plan
from deploybench.runner.workbench import Workbench

from .small import Small

CACHE = "TORCHINDUCTOR_CACHE_DIR"
each_backend = pytest.mark.parametrize("name", ["compiled", "max-autotune"])


def each_marked(compiled: Sequence[pytest.MarkDecorator] = ()) -> pytest.MarkDecorator:
    """Each backend; what max-autotune compiles takes minutes."""
    marks = {"compiled": compiled, "max-autotune": [pytest.mark.sweep]}
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=given) for name, given in marks.items()]
    )


class Keyed(torch.nn.Module):
    def forward(self, batch):
        return {}[batch.shape[0]]


def make(name):
    backend = backends.registry()[name](settings.resolve("cpu"))
    backend.require()
    return backend


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """An empty folder for temporary files, and no folder for Inductor's cache."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv(CACHE, raising=False)
    return tmp_path


@each_marked([pytest.mark.slow])
def test_it_answers_each_input_and_leaves_nothing_behind(temporary, name):
    module = Small().eval()
    state = {name: each.clone() for name, each in module.state_dict().items()}
    batches = [torch.randn(2, 3, 9, 9) for _ in range(2)]
    # Twice: what the first has removed must not be what the second relies on.
    for _ in range(2):
        backend = make(name)
        try:
            session = backend.load(module, None)
            answers = [session.predict((batch,)) for batch in batches]
            with torch.inference_mode():
                expected = [module(batch) for batch in batches]
            torch.testing.assert_close(answers, expected)
            assert len(session.timed(3)) == 3
            torch.testing.assert_close(session.output(), expected[1])
            session.close()
        finally:
            backend.close()
        assert all(each.name.startswith("torchinductor_") for each in temporary.iterdir())
    assert all(torch.equal(each, state[name]) for name, each in module.state_dict().items())
    assert torch._inductor.config.freezing is False


DROPS = {
    "reset": torch.compiler.reset,
    "strict export": lambda: torch.export.export(Small(), (torch.randn(1, 3, 9, 9),), strict=True),
    "another session": lambda: CompiledSession(Small(), settings.resolve("cpu")).close(),
}


@each_marked()
@pytest.mark.parametrize("drop", DROPS.values(), ids=DROPS)
def test_code_that_another_drops_is_compiled_as_before_and_never_in_a_timed_call(name, drop):
    backend, module, batch = make(name), Small().eval(), torch.randn(2, 3, 9, 9)
    compiled = torch._dynamo.utils.counters["stats"]
    try:
        session = backend.load(module, None)
        expected = session.predict((batch,)).clone()
        drop()
        session.put((batch,))
        before = compiled["unique_graphs"]
        session.timed(2)
        assert compiled["unique_graphs"] == before
        torch.testing.assert_close(session.output(), expected)
        with torch.no_grad():
            module.norm.bias.add_(1)
        torch.testing.assert_close(session.predict((batch,)), expected)
    finally:
        backend.close()


@each_marked()
def test_on_a_cpu_weights_are_frozen(name):
    backend, module, batch = make(name), Small().eval(), torch.randn(2, 3, 9, 9)
    try:
        session = backend.load(module, None)
        first = session.predict((batch,)).clone()
        with torch.no_grad():
            module.norm.bias.add_(1)
        # What was folded when it was compiled is what is run.
        assert torch.equal(session.predict((batch,)), first)
        session.close()
    finally:
        backend.close()


def test_each_model_is_compiled_with_an_empty_cache(temporary):
    backend, batch = make("compiled"), torch.randn(2, 3, 9, 9)
    try:
        first = backend.load(Small().eval(), None)
        answer = first.predict((batch,)).clone()
        used = Path(os.environ[CACHE])
        assert list(used.rglob("*.so"))
        second = backend.load(Small().eval(), None)
        assert os.environ[CACHE] != str(used)
        assert list(Path(os.environ[CACHE]).iterdir()) == []
        assert not used.exists()
        # What was compiled there is still what is run.
        assert torch.equal(first.predict((batch,)), answer)
        second.close()
    finally:
        backend.close()


@each_backend
def test_several_at_once_put_the_cache_back(monkeypatch, name):
    monkeypatch.setenv(CACHE, "before")
    first, second = make(name), make(name)
    first.close()
    second.close()
    assert os.environ[CACHE] == "before"


@each_backend
def test_what_cannot_be_compiled_fails_in_one_line(name):
    backend = make(name)
    try:
        session = backend.load(Keyed().eval(), None)
        session.put((torch.zeros(1, 3),))
        with pytest.raises((BackendFailed, RuntimeError)) as caught, session.calling():
            session.run()
        assert str(caught.value).strip().splitlines()[0]
        session.close()
    finally:
        backend.close()


@each_backend
def test_without_a_compiler_it_is_unavailable(monkeypatch, temporary, name):
    monkeypatch.setenv("PATH", str(temporary))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(BackendUnavailable, match=r"there is no C\+\+ compiler: install one"):
        make(name)
    assert all(each.name.startswith("torchinductor_") for each in temporary.iterdir())


@each_marked([pytest.mark.slow])
def test_resnet18_gives_eagers_answer(name):
    plan = Plan(settings.resolve("cpu"), weights.parse("random"), inputs=2)
    with Workbench(plan) as bench, bench.case(torchvision_zoo.model("resnet18"), name) as case:
        assert case.check(1).agrees
