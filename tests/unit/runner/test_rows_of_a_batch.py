"""A backend that mixes up the rows of a batch is caught, also when the run's batch size is 1."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from deploybench import settings
from deploybench.backends import base, registry
from deploybench.backends.session import InProcessSession
from deploybench.errors import BackendFailed
from deploybench.models.weights import RANDOM
from deploybench.runner import run as runs
from deploybench.runner.opened_case import OpenedCase
from deploybench.runner.prepared_model import Plan
from deploybench.runner.workbench import Workbench
from deploybench.tasks.agreement import UNDECIDED

from ..tiny import CLASSES, MODEL

MIXED = {
    "flipped": lambda output: output.flip(0),
    "rolled": lambda output: output.roll(1, 0),
    "first for all": lambda output: output[:1].expand_as(output),
    "last twice": lambda output: torch.cat([output[1:], output[-1:]]),
}


class Mixes(base.Backend):
    """Right for a batch of one."""

    name, title, order = "mixes", "Mixes", 90
    how = "flipped"

    def load(self, module, artifact):
        return InProcessSession(lambda x: MIXED[self.how](module(x)), self.settings)


class OnlyOne(Mixes):
    """Takes the batch size of its export alone; `after` is what any call gives from then on."""

    error: Exception = RuntimeError("the batch size must be 1")

    def load(self, module, artifact):
        refused = []

        def forward(x):
            if len(x) > 1:
                refused.append(x)
                raise self.error
            return self.after(module(x)) if refused else module(x)

        return InProcessSession(forward, self.settings)

    def after(self, output):
        return output


class Dies(OnlyOne):
    def after(self, output):
        raise RuntimeError("the process has ended")


class Forgets(OnlyOne):
    def after(self, output):
        return torch.zeros_like(output)


@pytest.fixture(scope="module")
def bench():
    with Workbench(Plan(settings.resolve("cpu", threads=1), RANDOM, inputs=2)) as bench:
        yield bench


def checked(bench, backend):
    case = OpenedCase(bench.prepared(MODEL), backend)
    try:
        return case.check(1)
    finally:
        case.close()


@pytest.mark.parametrize("how", MIXED)
def test_rows_that_are_mixed_up_are_different(bench, how):
    backend = Mixes(bench.plan.settings)
    backend.how = how
    agreement = checked(bench, backend)
    assert not agreement.agrees
    assert agreement.reason.startswith("with all 2 inputs in one batch: ")


def test_what_fixes_its_batch_size_is_checked_with_that_alone(bench):
    assert checked(bench, OnlyOne(bench.plan.settings)).agrees


@pytest.mark.parametrize("backend", [Dies, Forgets])
def test_a_refused_batch_that_breaks_the_session_fails_the_case(bench, backend):
    with pytest.raises(BackendFailed, match=r"^with all 2 inputs in one batch: .* must be 1$"):
        checked(bench, backend(bench.plan.settings))


def test_an_error_that_no_batch_size_explains_fails_the_case(bench):
    backend = OnlyOne(bench.plan.settings)
    backend.error = KeyError("cheese")
    words = "^with all 2 inputs in one batch: KeyError: 'cheese'$"
    with pytest.raises(BackendFailed, match=words):
        checked(bench, backend)


@pytest.mark.parametrize("backend", ["eager", "scripted", "traced", "frozen", "optimized"])
def test_what_takes_any_batch_size_is_right_for_it(bench, backend):
    chosen = registry()[backend]
    assert chosen.one_program
    with bench.case(MODEL, backend) as case:
        assert case.backend.any_batch_size
        assert case.check(1).agrees
        assert case.session.predict(case.prepared.batches(2)[0]).shape == (2, CLASSES)


def test_what_is_compiled_for_each_shape_is_checked_with_that_alone():
    fixed = {"onnxruntime", "onnxruntime-cpp", "openvino", "openvino-cpp"}
    fixed |= {"onnxruntime-int8", "onnxruntime-int8-cpp", "openvino-int8", "openvino-int8-cpp"}
    fixed |= {"aoti", "aoti-cpp", "exported", "inductor-int8"}
    fixed |= {"executorch", "executorch-cpp", "executorch-int8", "executorch-int8-cpp"}
    by_shape = {"compiled", "max-autotune", "cudagraph", "cudagraph-cpp"}
    for name, backend in registry().items():
        takes_any = backend.format is None or backend.format.any_batch_size
        assert takes_any == (name not in fixed), name
        assert backend.one_program == (name not in by_shape), name


class Constant(torch.nn.Module):
    """The same for every image."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(torch.arange(10.0))

    def forward(self, x):
        return self.logits + 0 * x.sum(dim=(1, 2, 3), keepdim=True)[:, :, 0, 0]


def test_a_model_that_tells_nothing_is_not_timed():
    model = replace(MODEL, name="constant", build=Constant, reference=None)
    record = runs.run([model], ["eager", "scripted"])
    assert not record.cases
    reasons = {failed.reason for failed in record.failed}
    assert reasons == {
        "the outputs cannot tell right from wrong: eager gives the same output for all 2 inputs"
    }
    assert {failed.kind for failed in record.failed} == {"failed"}
    assert UNDECIDED not in ("exact", "different")
