"""The conditions of a run: complete, and comparable with those of older runs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from deploybench.analysis.regression import Options, judge_runs
from deploybench.machine import processor, variables
from deploybench.records.record import CaseRecord, RunRecord
from deploybench.runner import fingerprint as module
from deploybench.runner.options import RunOptions

OLD = Path(__file__).parents[1] / "data" / "saved_run_0.2.0.json"


@pytest.fixture
def conditions(monkeypatch):
    """The conditions of a run on a machine where nothing is set, but what is given."""
    for name in variables.in_force(os.environ):
        monkeypatch.delenv(name)

    def found(limits: dict | None = None, **environment: str) -> dict:
        monkeypatch.setattr(processor, "limits", lambda: limits or {})
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        options = RunOptions([], [], device="cpu")
        return module.fingerprint(options.plan(), options.protocol())

    return found


def run(name: str, fingerprint: dict) -> RunRecord:
    case = CaseRecord("m", "eager", "PyTorch", 0, (1.0,))
    return RunRecord(Path(name), fingerprint, (case,), name)


def test_where_nothing_is_set_the_conditions_are_those_of_older_runs(conditions):
    old = json.loads(OLD.read_text())["machine_info"]["deploybench"]["fingerprint"]
    assert set(conditions()) == set(old)


def test_what_is_set_is_a_condition_that_the_gate_names(conditions):
    plain = conditions()
    limited = conditions(
        {"cpu_mask": "0", "cpu_quota": 0.5}, ONEDNN_MAX_CPU_ISA="SSE41", LD_PRELOAD="libj.so"
    )
    report = judge_runs([run("a", plain)], [run("b", limited)], Options())
    assert report.differences == (
        "LD_PRELOAD: absent -> 'libj.so'",
        "ONEDNN_MAX_CPU_ISA: absent -> 'SSE41'",
        "cpu_mask: absent -> '0'",
        "cpu_quota: absent -> 0.5",
    )
    assert not judge_runs([run("a", limited)], [run("b", dict(limited))], Options()).differences
