"""A backend that changes the model it was given is found out, whatever was asked for beside it."""

from __future__ import annotations

import copy
from itertools import permutations

import pytest
import torch

from deploybench import Model, backends, settings
from deploybench.backends.base import Backend
from deploybench.backends.session import InProcessSession
from deploybench.errors import BackendFailed, BackendUnavailable
from deploybench.formats import torchscript
from deploybench.machine.interference import Watch
from deploybench.models.weights import RANDOM
from deploybench.runner.prepared_model import Plan
from deploybench.runner.scheduler import Scheduler
from deploybench.runner.workbench import Workbench
from deploybench.timing.protocol import Protocol

from ..backends.test_contract import COMPILING
from ..tiny import MODEL, Tiny, scale_head

FACTORS = (1.2, 2.0, 10.0, 0.0, -1.0)
BACKENDS = [
    pytest.param(name, marks=pytest.mark.sweep) if name in COMPILING else name
    for name in backends.registry()
]


class Saboteur(Backend):
    """Changes the module in one of the moments that it has it in its hands."""

    name, title, order = "saboteur", "Saboteur", 5
    moment, harm = "load", staticmethod(lambda module: scale_head(module, 2.0))

    def load(self, module, artifact):
        if self.moment == "load":
            self.harm(module)
        calls = []

        def forward(batch):
            calls.append(1)
            if self.moment == f"call {len(calls)}":
                self.harm(module)
            return module(batch)

        return InProcessSession(forward, self.settings)


@pytest.fixture
def bench(monkeypatch):
    registry = {**backends.registry(), "saboteur": Saboteur}
    monkeypatch.setattr("deploybench.runner.workbench.registry", lambda: registry)
    with Workbench(Plan(settings.resolve("cpu", threads=1), RANDOM, inputs=2)) as bench:
        yield bench


def compare(bench, names):
    comparison = Scheduler(
        bench, Protocol(max_seconds=0.0), {(MODEL.name, 1): list(names)}, Watch("cpu")
    )
    return {name: comparison.outcome(MODEL, name, 1) for name in names}


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("order", [*permutations(("eager", "scripted", "cpp")), ("scripted",)])
def test_an_export_that_scales_the_model_is_never_right_in_any_order(
    bench, monkeypatch, order, factor
):
    save = torchscript._save

    def scale_and_save(program, path):
        scale_head(program, factor)
        save(program, path)

    monkeypatch.setattr(torchscript, "_save", scale_and_save)
    for name, outcome in compare(bench, order).items():
        if name == "eager":
            assert outcome.failure is None
            assert outcome.agreement.verdict == "exact"
        else:
            assert outcome.result is None
            assert f"{name} changed the model that it was given" in str(outcome.failure)


@pytest.mark.parametrize("first", ["eager", "other"])
@pytest.mark.parametrize("name", BACKENDS)
def test_no_backend_can_change_the_model_unseen(bench, monkeypatch, name, first):
    try:
        bench.backend(name)
    except BackendUnavailable as error:
        pytest.skip(str(error))
    chosen = backends.registry()[name]
    step = "load" if chosen.format is None else "export"
    harmless = getattr(chosen, step)

    def harmful(self, module, *rest):
        scale_head(module, 1.2)
        return harmless(self, module, *rest)

    monkeypatch.setattr(chosen, step, harmful)
    order = dict.fromkeys(("eager", name) if first == "eager" else (name, "eager"))
    outcomes = compare(bench, order)
    assert outcomes[name].result is None
    assert f"{name} changed the model" in str(outcomes[name].failure)
    if name != "eager":
        assert outcomes["eager"].agreement.verdict == "exact"


@pytest.mark.parametrize("moment", ["load", "call 1", "call 2", "call 3"])
@pytest.mark.parametrize("order", list(permutations(("eager", "saboteur", "scripted"))))
def test_whenever_the_change_comes_only_the_backend_that_made_it_fails(
    bench, monkeypatch, order, moment
):
    monkeypatch.setattr(Saboteur, "moment", moment)
    outcomes = compare(bench, order)
    assert "saboteur changed the model" in str(outcomes["saboteur"].failure)
    for name in ("eager", "scripted"):
        assert outcomes[name].failure is None
        assert outcomes[name].agreement.verdict == "exact"


def test_a_change_while_timing_leaves_no_figure_to_what_calls_the_model_itself(bench, monkeypatch):
    monkeypatch.setattr(Saboteur, "moment", "call 9")
    outcomes = compare(bench, ("eager", "saboteur", "scripted"))
    assert outcomes["eager"].result is None
    assert outcomes["saboteur"].result is None
    assert outcomes["scripted"].failure is None


HARMS = {
    "a buffer": lambda module: module.features[0].register_buffer("late", torch.ones(1)),
    "the structure": lambda module: setattr(module, "features", torch.nn.Conv2d(3, 8, 1)),
    "the mode": lambda module: module.train(),
    "one weight": lambda module: module.features[0].weight.data[0, 0, 0].zero_(),
    "a parameter for another": lambda module: setattr(
        module.head, "weight", torch.nn.Parameter(-module.head.weight)
    ),
}


@pytest.mark.parametrize("harm", HARMS)
def test_every_kind_of_change_is_found_and_undone(bench, monkeypatch, harm):
    monkeypatch.setattr(Saboteur, "harm", staticmethod(HARMS[harm]))
    prepared = bench.prepared(MODEL)
    module, before = prepared.module, copy.deepcopy(prepared.module.state_dict())
    with pytest.raises(BackendFailed, match="changed the model"), bench.case(MODEL, "saboteur"):
        pass
    assert bench.prepared(MODEL).module is module
    after = module.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not module.training
    with bench.case(MODEL, "eager") as case:
        assert case.check(1).verdict == "exact"


def test_a_file_that_was_exported_with_the_change_is_not_handed_to_another(bench, monkeypatch):
    frozen = backends.registry()["frozen"]
    export = frozen.export

    def export_and_scale(self, module, example, path):
        scale_head(module, 1.2)
        return export(self, module, example, path)

    monkeypatch.setattr(frozen, "export", export_and_scale)
    with pytest.raises(BackendFailed, match="changed the model"), bench.case(MODEL, "frozen"):
        pass
    with bench.case(MODEL, "optimized") as case:
        assert case.check(1).agrees


def test_a_model_that_cannot_be_built_the_same_again_is_given_to_nobody(bench):
    built = []

    def build():
        built.append(1)
        module = Tiny()
        scale_head(module, len(built))
        return module

    model = Model("changing", build=build, inputs=(3, 32, 32))
    with pytest.raises(BackendFailed, match="changed the model"), bench.case(model, "saboteur"):
        pass
    with (
        pytest.raises(BackendFailed, match=r"saboteur changed .* cannot be built the same again"),
        bench.case(model, "eager"),
    ):
        pass


def test_a_model_that_changes_itself_when_called_is_refused(bench):
    class Counts(Tiny):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls.add_(1)
            return super().forward(x)

    model = Model("counting", build=Counts, inputs=(3, 32, 32))
    with (
        pytest.raises(BackendFailed, match="counting changes its own state when it is called"),
        bench.case(model, "eager"),
    ):
        pass
