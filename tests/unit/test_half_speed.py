"""validation/half_speed.py: the fastest float16 column beside eager's float32, from saved runs."""

from __future__ import annotations

from pathlib import Path

from deploybench.records.record import CaseRecord, RunRecord
from validation import half_speed


def run(figures: dict[str, dict[str, float]]) -> RunRecord:
    """A run with these latencies in milliseconds."""
    cases = [
        CaseRecord(model, backend, backend.title(), 1, (milliseconds / 1e3,) * 3)
        for model, columns in figures.items()
        for backend, milliseconds in columns.items()
    ]
    return RunRecord(Path("run"), {}, tuple(cases))


def test_the_fastest_column_of_each_model_is_beside_eager_and_the_mean_beside_the_goal():
    single = run({"a": {"eager": 16}, "b": {"eager": 20, "cpp": 1}, "not in half": {"eager": 1}})
    half = run({"a": {"eager": 2, "aoti-cpp": 1}, "b": {"eager": 0.8, "cpp": 4}, "c": {"cpp": 1}})
    *table, _, mean = half_speed.report([single], [half])
    assert table[2:] == [
        "| a | 16.00 | 1.000 | 16.0 | Aoti-Cpp |",
        "| b | 20.00 | 0.800 | 25.0 | Eager |",
    ]
    assert mean == "2 models: 20.0 times; goal 15: reached"


def test_runs_without_a_common_model_say_so():
    lines = half_speed.report([run({"a": {"eager": 1}})], [run({"b": {"cpp": 1}})])
    assert lines == ["no model is in both"]
