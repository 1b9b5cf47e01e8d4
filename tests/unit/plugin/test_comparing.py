"""pytest-benchmark's comparisons and groups do not end a run with timed tests."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pytest_benchmark.session import PerformanceRegression

from deploybench.errors import UsageError
from deploybench.plugin import TIMED, comparing

HERE = {"node": "here", "cpu": {"brand_raw": "fast", "hz_actual": 1}}


class Config:
    """The parts of a pytest.Config that are asked for."""

    def __init__(self, **options) -> None:
        self.stash = pytest.Stash()
        self.warnings: list[str] = []
        self._benchmarksession = SimpleNamespace(
            logger=SimpleNamespace(warning=self.warnings.append)
        )
        self._options = options

    def getoption(self, name):
        return self._options.get(name)


def compared(config, there):
    """What pytest-benchmark itself gets to see of this machine."""
    here = dict(HERE)
    hook = comparing.pytest_benchmark_compare_machine_info(
        config, config._benchmarksession, here, {"machine_info": there, "benchmarks": []}
    )
    next(hook)
    seen = dict(here)
    with pytest.raises(StopIteration):
        hook.send(None)
    assert here == HERE
    return seen


def test_another_machine_is_said_in_one_line():
    config = Config()
    other = {"node": "there", "cpu": {"brand_raw": "fast", "hz_actual": 2}}
    assert compared(config, other) == other
    assert config.warnings == ["the run to compare with was made with another node"]


def test_a_run_under_other_conditions_is_said_and_fails_no_test():
    about = {"format": 3, "fingerprint": {"dtype": "float16", "threads": 2}}
    config = Config()
    compared(config, {**HERE, "deploybench": about})
    assert config.warnings == []
    comparing.require_same_conditions(config, {"dtype": "float16", "threads": 2})
    assert config.warnings == []
    comparing.require_same_conditions(config, {"dtype": "float32", "threads": 2})
    assert config.warnings == ["the run to compare with was made with another dtype"]
    config = Config(benchmark_compare_fail=["min:5%"])
    compared(config, {**HERE, "deploybench": about})
    with pytest.raises(UsageError, match="made with another threads; measure it again"):
        comparing.require_same_conditions(config, {"dtype": "float16", "threads": 1})


def test_every_test_has_what_it_is_grouped_by():
    config = Config()
    config.stash[TIMED] = {"ours": ("resnet18", "eager", 8)}
    ours = {"fullname": "ours", "params": {"model": "resnet18"}}
    bare = {"fullname": "bare", "params": None}
    next(
        comparing.pytest_benchmark_group_stats(config, [ours, bare], "param:model,param:batch_size")
    )
    assert ours["params"] == {"model": "resnet18", "batch_size": "8"}
    assert bare["params"] == {"model": "-", "batch_size": "-"}


@pytest.mark.parametrize(("before", "after"), [(0, 1), (1, 1), (2, 2)])
def test_a_regression_fails_the_run_without_a_traceback(before, after):
    session = SimpleNamespace(exitstatus=pytest.ExitCode(before))
    hook = comparing.pytest_terminal_summary(SimpleNamespace(_session=session), Config())
    next(hook)
    with pytest.raises(StopIteration):
        hook.throw(PerformanceRegression())
    assert session.exitstatus == after


CASE = {"fullname": "t", "stats": dict.fromkeys(comparing.COMPARED_FIGURES, 1)}


@pytest.mark.parametrize(
    "run",
    [
        {"benchmarks": []},
        {"machine_info": None, "benchmarks": []},
        {"machine_info": {}, "benchmarks": [{"stats": CASE["stats"]}]},
        {"machine_info": {}, "benchmarks": [{"fullname": "t", "stats": {"min": "fast"}}]},
    ],
)
def test_what_is_no_saved_run_is_refused_before_any_test(run):
    config = Config()
    hook = comparing.pytest_benchmark_compare_machine_info(config, None, {}, run)
    with pytest.raises(pytest.UsageError, match="is not a whole saved run"):
        next(hook)
    comparing._require_saved_run({"machine_info": {}, "benchmarks": [CASE]})
