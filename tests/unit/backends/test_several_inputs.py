"""Every backend takes several inputs, in the right order, and inputs that are not floats."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from deploybench import settings
from deploybench.errors import BackendUnavailable
from deploybench.models.weights import RANDOM
from deploybench.runner.prepared_model import Plan
from deploybench.runner.workbench import Workbench

from ..several_inputs import MODELS, READS, SEES
from .test_contract import names

CPU = settings.resolve("cpu", threads=1)


def workbench(batch_size: int, **changes: object) -> Workbench:
    return Workbench(Plan(replace(CPU, **changes), RANDOM, batch_size=batch_size, inputs=8))


def require(bench: Workbench, name: str) -> None:
    try:
        bench.backend(name)
    except BackendUnavailable as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("name", names(marks=pytest.mark.sweep))
def test_a_model_of_any_inputs_gives_eagers_answer(name, batch_size):
    with workbench(batch_size) as bench:
        require(bench, name)
        for model in MODELS:
            with bench.case(model, name) as case:
                agreement = case.check(batch_size)
                assert agreement.agrees, f"{model.name}: {agreement.reason}"
                first, second = case.prepared.batches(batch_size)[:2]
                answers = [case.session.predict(batch) for batch in (first, second, first)]
                assert not torch.equal(answers[0], answers[1])
                assert torch.equal(answers[0], answers[2])
                assert min(case.session.timed(2, include_copies=True)) > 0
                assert torch.equal(case.session.output(), answers[2])


@pytest.mark.parametrize("name", names(marks=pytest.mark.sweep))
def test_each_of_the_inputs_is_taken_anew(name):
    """One that were left from the call before, or taken for the other, would change the answer."""
    with workbench(1) as bench:
        require(bench, name)
        with bench.case(SEES, name) as case, torch.inference_mode():
            first, second = case.prepared.batches(1)[:2]
            batches = (first, (first[0], second[1]), second, (second[0], first[1]))
            answers = [case.session.predict(batch) for batch in batches]
            if case.backend.precision is None:
                for batch, answer in zip(batches, answers, strict=True):
                    torch.testing.assert_close(answer, case.prepared.module(*batch))
            # Of reduced precision no answer is exact, and the image changes it by less than one
            # step of its grid; the vector changes it by more.
            assert not torch.equal(answers[0], answers[1])
            assert not torch.equal(answers[2], answers[3])


@pytest.mark.parametrize(
    "changes", [{"channels_last": True}, {"dtype": "bfloat16"}, {"dtype": "float16"}]
)
@pytest.mark.parametrize("name", ["scripted", "cpp"])
def test_layout_and_dtype_are_those_of_the_floating_point_inputs_alone(name, changes):
    with workbench(4, **changes) as bench:
        for model in (SEES, READS):
            with bench.case(model, name) as case:
                assert case.check(4).agrees, case.check(4).reason
                dtypes = [each.dtype for each in case.prepared.inputs]
                run = getattr(torch, case.prepared.plan.settings.dtype)
                assert dtypes == ([run, run] if model is SEES else [torch.int64, torch.bool])


def test_the_file_names_the_inputs_as_forward_does(tmp_path):
    pytest.importorskip("onnxscript")
    onnx = pytest.importorskip("onnx")
    with workbench(1) as bench:
        artifact = bench.prepared(SEES).artifact(bench.backend("openvino-cpp"))
        graph = onnx.load(str(artifact.path)).graph
    assert [each.name for each in graph.input] == ["image", "vector"]


@pytest.mark.parametrize("name", ["eager", "scripted", "cpp"])
def test_a_fresh_process_takes_them_too(name):
    with workbench(4) as bench, bench.case(SEES, name) as case:
        assert case.cold_start().seconds > 0
