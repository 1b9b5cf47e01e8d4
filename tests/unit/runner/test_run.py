"""A run without pytest: options and models in, a record out."""

from __future__ import annotations

import json
import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import deploybench
from deploybench.analysis import speedup, table
from deploybench.backends import registry
from deploybench.backends.session import InProcessSession
from deploybench.errors import BackendUnavailable, UsageError
from deploybench.records.record import RunRecord
from deploybench.runner.options import RunOptions
from deploybench.runner.run import Run
from deploybench.runner.scheduler import Outcome, Scheduler

from ..tiny import MODEL, WITH_DICT

QUICK = {"max_seconds": 0.0, "min_rounds": 5}


def test_models_through_backends_become_a_record():
    seen = []
    record = deploybench.run(
        [MODEL, WITH_DICT],
        ["eager", "scripted"],
        on_case=lambda model, backend, size, outcome: seen.append((model.name, backend, size)),
        threads=1,
        **QUICK,
    )
    cells = [("tiny", "eager"), ("tiny", "scripted")]
    cells += [("tiny_dict", "eager"), ("tiny_dict", "scripted")]
    assert [(case.model, case.backend) for case in record.cases] == cells
    assert seen == [(*cell, 1) for cell in cells]
    assert all(case.check.verdict == "exact" for case in record.cases)
    assert all(len(case.samples_seconds) >= 5 for case in record.cases)
    assert record.failed == ()
    assert record.fingerprint["threads"] == 1
    assert record.noise.before
    assert record.noise.after
    merged = table.merge([record])
    assert list(merged.index) == ["tiny", "tiny_dict"]
    assert list(merged.columns) == ["PyTorch", "TorchScript (Python)"]


def two_models(monkeypatch):
    """Options of a run over two models, and the list of those that were measured so far."""
    compared, compare = [], Scheduler._compare

    def noted(self, model, batch_size, backends):
        compared.append(model.name)
        return compare(self, model, batch_size, backends)

    monkeypatch.setattr(Scheduler, "_compare", noted)
    models = [MODEL, replace(MODEL, name="other")]
    return RunOptions(models, ["eager", "scripted"], **QUICK), compared


def test_a_model_is_measured_once_in_whatever_order_its_cases_are_asked_for(monkeypatch):
    options, compared = two_models(monkeypatch)
    cases = options.cases()
    with Run(options) as under_way:
        outcomes = {case: under_way.outcome(*case) for case in (*cases[::2], *cases[1::2])}
        under_way.release()
        again = {case: under_way.outcome(*case) for case in reversed(cases)}
    assert compared == ["tiny", "other"]
    assert all(again[case] is outcomes[case] for case in cases)
    assert {outcome.agreement.verdict for outcome in outcomes.values()} == {"exact"}


def test_a_kept_failure_keeps_nothing_of_the_model(monkeypatch):
    def broken(self, module, artifact):
        modules.append(weakref.ref(module))
        raise ZeroDivisionError("no kernel")

    modules = []
    monkeypatch.setattr(registry()["eager"], "load", broken)
    with Run(RunOptions([MODEL], ["eager"], **QUICK)) as under_way:
        failure = under_way.outcome(MODEL, "eager", 1).failure
        under_way.release()
        assert [module() for module in modules] == [None]
    assert "no kernel" in str(failure)


def test_a_time_limit_is_blamed_on_no_backend_and_the_model_is_not_tried_again(monkeypatch):
    options, _ = two_models(monkeypatch)
    attempt, asked = Scheduler._attempt, []

    def limited(self, model, opened):
        asked.append(model)
        if model == "tiny":
            pytest.fail("Timeout (>5.0s) from pytest-timeout.")
        return attempt(self, model, opened)

    monkeypatch.setattr(Scheduler, "_attempt", limited)
    with Run(options) as under_way:
        outcomes = [under_way.outcome(*case) for case in options.cases()]
    assert {str(outcome.failure) for outcome in outcomes[:2]} == {
        "tiny: cut off while eager, scripted were measured together: Failed: Timeout (>5.0s) from "
        "pytest-timeout.; a limit must leave time for all of them"
    }
    assert all(outcome.result for outcome in outcomes[2:])
    assert asked.count("tiny") == 1


def test_nothing_traces_what_is_measured(monkeypatch):
    def trace(frame, event, argument):
        return None

    seen, attempt = [], Scheduler._attempt

    def noted(self, model, opened):
        seen.append(sys.gettrace())
        return attempt(self, model, opened)

    monkeypatch.setattr(Scheduler, "_attempt", noted)
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with Run(RunOptions([MODEL], ["eager"], **QUICK)) as under_way:
            under_way.outcome(MODEL, "eager", 1)
        assert sys.gettrace() is trace
    finally:
        sys.settrace(before)
    assert set(seen) == {None}


def test_the_record_is_what_a_saved_run_reads_back():
    record = deploybench.run([MODEL], ["eager"], **QUICK)
    stored = json.loads(json.dumps(record.to_json()))
    assert RunRecord.from_json(stored, record.path) == record


def test_a_wrong_answer_and_a_failure_are_in_the_record_with_their_reasons(monkeypatch):
    def wrong(self, module, artifact):
        return InProcessSession(lambda batch: module(batch) * 1.1, self.settings)

    def broken(self, module, artifact):
        raise ZeroDivisionError("no kernel")

    monkeypatch.setattr(registry()["scripted"], "load", wrong)
    monkeypatch.setattr(registry()["traced"], "load", broken)
    record = deploybench.run([MODEL], ["eager", "scripted", "traced"], **QUICK)
    assert [case.backend for case in record.cases] == ["eager"]
    found = {each.backend: (each.kind, each.reason) for each in record.failed}
    assert found.keys() == {"scripted", "traced"}
    assert found["scripted"][0] == "wrong"
    assert found["scripted"][1].startswith("different, before timing: ")
    assert found["traced"] == ("failed", "tiny through traced: ZeroDivisionError: no kernel")


@pytest.mark.parametrize(
    ("models", "backends", "words"),
    [
        (["resnet81"], ["eager"], "unknown model 'resnet81': did you mean 'resnet18'"),
        ([MODEL], ["egaer"], "unknown backend 'egaer': did you mean 'eager'"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_runs(models, backends, words):
    with pytest.raises(UsageError, match=words):
        deploybench.run(models, backends)


def test_the_default_backends_are_measured_where_none_are_named(monkeypatch):
    asked = []

    def outcome(self, model, backend, batch_size):
        asked.append(backend)
        return Outcome(failure=BackendUnavailable("not here"))

    monkeypatch.setattr(Scheduler, "outcome", outcome)
    record = deploybench.run([MODEL], **QUICK)
    assert asked == ["eager", "scripted", "cpp"]
    # What this machine cannot run has not failed.
    assert record.failed == ()


def test_naming_a_model_imports_no_torch():
    program = "import sys, deploybench; deploybench.Model; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.slow
def test_the_script_of_the_docs_prints_a_table(tmp_path):
    root = Path(__file__).resolve().parents[3]
    page = (root / "docs" / "python-api.md").read_text()
    script = page.partition("```python\n")[2].partition("```")[0]
    assert len([line for line in script.splitlines() if line.strip()]) <= 12
    quick = script.replace('["resnet18", "squeezenet1_1"]', '["squeezenet1_1"]')
    quick = quick.replace("on_case=", "max_seconds=0.0, on_case=")
    assert quick != script
    ran = subprocess.run(
        [sys.executable, "-c", quick], cwd=root, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "measured squeezenet1_1 through eager" in ran.stdout
    *_, header, rule, row = ran.stdout.rstrip().splitlines()
    assert header.split("  ")[0] == "Model"
    assert set(rule) == {"-"}
    assert row.startswith("squeezenet1_1 ")
    assert " - " not in row


def test_inputs_of_a_model_are_its_own():
    asked = []

    def inputs(count, seed):
        asked.append((count, seed))
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(count, 3, 16, 16, generator=generator)

    model = deploybench.Model("tiny", build=MODEL.build, inputs=inputs)
    record = deploybench.run([model], ["eager"], seed=5, **QUICK)
    assert asked == [(2, 5)]
    assert record.cases[0].check.verdict == "exact"


def test_a_record_with_several_batch_sizes_has_a_column_for_each():
    record = deploybench.run([MODEL], ["eager", "scripted"], batch_sizes=(1, 4), threads=1, **QUICK)
    shown = table.merge([record])
    assert len(shown.columns) == 4
    pairs = speedup.estimates([record])
    of_size = {
        size: {case.backend: case.latency_ms for case in record.cases if case.batch_size == size}
        for size in (1, 4)
    }
    assert len(pairs) == 2
    for column, found in pairs.items():
        size = 4 if "4" in column else 1
        expected = of_size[size]["eager"] / of_size[size]["scripted"]
        assert found["tiny"].ratio == pytest.approx(expected, rel=0.5)


def test_what_building_a_model_changes_of_the_process_is_put_back():
    def build():
        torch.set_num_threads(3)
        torch.set_float32_matmul_precision("medium")
        return MODEL.build()

    deploybench.run([replace(MODEL, build=build)], ["eager"], threads=1, **QUICK)
    assert torch.get_num_threads() == 1
    assert torch.get_float32_matmul_precision() == "highest"
