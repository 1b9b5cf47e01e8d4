"""The runs of jobs become one run for each condition and repeat."""

from __future__ import annotations

import json

import pytest

from deploybench.records import reading
from deploybench.sweep import merging
from deploybench.sweep.job import Job

from ..saved_runs import document


@pytest.fixture
def saved(tmp_path):
    """Saves the run of a job with one model; its fingerprint has what is given."""

    def save(model: str, dtype: str = "float32", **fingerprint) -> Job:
        job = Job(model, model, (("dtype", dtype),), (), 1)
        run = document({(model, "eager"): [0.01] * 5}, dtype=dtype, **fingerprint)
        run["machine_info"]["deploybench"]["format"] = 3
        run["deploybench"] = {
            "run": f"of {model}",
            "failed": [],
            "peak": {"flops_per_second": 1.0 + len(model), "bytes_per_second": 2.0},
            "options": {"models": model, "backends": "eager", "dtype": dtype},
            "notices": [{"seen": "load", "effect": "slow", "mend": "wait"}],
        }
        (tmp_path / f"{job.key}.json").write_text(json.dumps(run))
        return job

    return save


def merged(jobs, tmp_path):
    return {
        path.name: reading.read(path) for path in merging.merge(jobs, tmp_path, tmp_path / "runs")
    }


def test_models_of_one_condition_become_one_run(saved, tmp_path):
    runs = merged([saved("a"), saved("bb"), saved("a", "bfloat16")], tmp_path)
    assert set(runs) == {"dtype=float32-run-1.json", "dtype=bfloat16-run-1.json"}
    run = runs["dtype=float32-run-1.json"]
    assert [case.model for case in run.cases] == ["a", "bb"]
    assert run.peak.flops_per_second == 3.0
    assert len(run.notices) == 1
    assert run.options == {"models": "a,bb", "backends": "eager", "dtype": "float32"}
    assert run.identity != runs["dtype=bfloat16-run-1.json"].identity


def test_the_same_jobs_give_the_same_run(saved, tmp_path):
    jobs = [saved("a"), saved("b")]
    assert merged(jobs, tmp_path)["dtype=float32-run-1.json"].identity == (
        merged(jobs, tmp_path)["dtype=float32-run-1.json"].identity
    )


def test_runs_whose_machine_changed_stay_apart(saved, tmp_path):
    runs = merged([saved("a"), saved("b", driver="new"), saved("c")], tmp_path)
    assert set(runs) == {"dtype=float32-run-1-1.json", "dtype=float32-run-1-2.json"}
    assert [len(run.cases) for run in runs.values()] == [2, 1]


def test_slots_with_as_many_cpus_are_one_condition(saved, tmp_path):
    runs = merged([saved("a", cpu_mask="0-1"), saved("b", cpu_mask="2-3")], tmp_path)
    (run,) = runs.values()
    assert run.fingerprint["cpu_mask"] == "2 CPUs a slot"
    runs = merged([saved("a", cpu_mask="0-1"), saved("b", cpu_mask="2")], tmp_path)
    assert len(runs) == 2
    runs = merged([saved("a", cpu_mask="0-1"), saved("b", cpu_mask="0-1")], tmp_path)
    (run,) = runs.values()
    assert run.fingerprint["cpu_mask"] == "0-1"


def changed(tmp_path, job, change):
    path = tmp_path / f"{job.key}.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    "change",
    [
        lambda run: run["deploybench"].pop("failed"),
        lambda run: run["deploybench"].update(run=None),
        lambda run: run["machine_info"]["deploybench"]["fingerprint"].update(cpu_mask="abc"),
    ],
    ids=["failed", "run", "mask"],
)
def test_what_a_record_may_lack_the_joined_run_may_too(saved, tmp_path, change):
    jobs = [saved("a"), saved("b")]
    for job in jobs:
        changed(tmp_path, job, change)
    (run,) = merged(jobs, tmp_path).values()
    assert [case.model for case in run.cases] == ["a", "b"]


def test_a_file_that_was_cut_short_is_left_out(saved, tmp_path):
    jobs = [saved("a"), saved("b")]
    path = tmp_path / f"{jobs[0].key}.json"
    path.write_text(path.read_text()[:100])
    (run,) = merged(jobs, tmp_path).values()
    assert [case.model for case in run.cases] == ["b"]
