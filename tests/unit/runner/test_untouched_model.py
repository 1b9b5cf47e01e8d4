"""A backend that changes the model it was given is found out, whatever was asked for beside it."""

from __future__ import annotations

import copy
from itertools import permutations

import pytest
import torch

from deploybench import backends, settings
from deploybench.backends.base import Backend, InProcessSession
from deploybench.errors import BackendFailed
from deploybench.machine.interference import Watch
from deploybench.models import weights
from deploybench.runner.scheduler import Comparison
from deploybench.runner.workbench import Plan, Workbench
from deploybench.timing.protocol import Protocol

MODEL = "squeezenet1_1"
FACTORS = (1.2, 2.0, 10.0, 0.0, -1.0)


def scale_last_layer(module, factor):
    with torch.no_grad():
        list(module.parameters())[-1].mul_(factor)
        list(module.parameters())[-2].mul_(factor)


class Saboteur(Backend):
    """Changes the module in one of the moments that it has it in its hands."""

    name, title, order = "saboteur", "Saboteur", 5
    artifact_name = None
    moment, harm = "load", staticmethod(lambda module: scale_last_layer(module, 2.0))

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
    plan = Plan(settings.resolve("cpu", threads=1), weights.parse("random"), inputs=2)
    with Workbench(plan) as bench:
        yield bench


def compare(bench, names):
    comparison = Comparison(
        bench, Protocol(max_seconds=0.0), {(MODEL, 1): list(names)}, Watch("cpu")
    )
    return {name: comparison.outcome(MODEL, name, 1) for name in names}


def scaled_while_saving(monkeypatch, factor):
    """Plant the change in torch.jit.save, as an exporter of TorchScript would make it."""
    save = torch.jit.save

    def save_and_scale(program, path):
        scale_last_layer(program, factor)
        save(program, path)

    monkeypatch.setattr(torch.jit, "save", save_and_scale)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("order", [*permutations(("eager", "scripted", "cpp")), ("scripted",)])
def test_an_export_that_scales_the_model_is_never_right_in_any_order(
    bench, monkeypatch, order, factor
):
    scaled_while_saving(monkeypatch, factor)
    outcomes = compare(bench, order)
    for name, outcome in outcomes.items():
        if name == "eager":
            assert outcome.failure is None
            assert outcome.agreement.verdict == "exact"
        else:
            assert outcome.result is None
            assert f"{name} changed the model that it was given" in str(outcome.failure)


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
    "the structure": lambda module: setattr(module, "classifier", torch.nn.Flatten()),
    "the mode": lambda module: module.train(),
    "one weight": lambda module: module.features[0].weight.data[0, 0, 0].zero_(),
    "a parameter for another": lambda module: setattr(
        module.features[0], "weight", torch.nn.Parameter(-module.features[0].weight)
    ),
}


@pytest.mark.parametrize("harm", HARMS)
def test_every_kind_of_change_is_found_and_undone(bench, monkeypatch, harm):
    monkeypatch.setattr(Saboteur, "harm", staticmethod(HARMS[harm]))
    subject = bench.subject(MODEL)
    module, before = subject.module, copy.deepcopy(subject.module.state_dict())
    with pytest.raises(BackendFailed, match="changed the model"), bench.case(MODEL, "saboteur"):
        pass
    assert bench.subject(MODEL).module is module
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
        scale_last_layer(module, 1.2)
        return export(self, module, example, path)

    monkeypatch.setattr(frozen, "export", export_and_scale)
    with pytest.raises(BackendFailed, match="changed the model"), bench.case(MODEL, "frozen"):
        pass
    with bench.case(MODEL, "optimized") as case:
        assert case.check(1).agrees


def test_a_model_that_cannot_be_built_the_same_again_is_given_to_nobody(bench, monkeypatch):
    subject = bench.subject(MODEL)
    build = subject._build
    monkeypatch.setattr(subject, "_build", lambda: build().train())
    with pytest.raises(BackendFailed, match="changed the model"), bench.case(MODEL, "saboteur"):
        pass
    with (
        pytest.raises(BackendFailed, match=r"saboteur changed .* cannot be built the same again"),
        bench.case(MODEL, "eager"),
    ):
        pass
