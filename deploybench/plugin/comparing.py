"""pytest-benchmark's comparison with a saved run, and its groups, where timed tests are among them.

Comparisons that count are made by `tools/gate.py`; here, what pytest-benchmark prints is kept from
ending the run.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import pytest

from ..errors import UsageError
from . import TIMED

COMPARED = pytest.StashKey[list[Mapping[str, Any]]]()
"""The conditions of each run of deploybench that this one is compared with."""
COMPARED_FIGURES = ("min", "max", "mean", "stddev", "median", "iqr", "ops", "rounds", "iterations")
"""What pytest-benchmark needs of each case, whichever columns it shows."""


@pytest.hookimpl(wrapper=True)
def pytest_benchmark_compare_machine_info(
    config: pytest.Config,
    benchmarksession: Any,
    machine_info: dict[str, Any],
    compared_benchmark: dict[str, Any],
) -> Generator[None, object, object]:
    """Say in one line that a run was made on another machine.

    pytest-benchmark would write out both machines, which always differ by our conditions, and fails
    if the runs are not stored below the current folder.
    """
    _require_saved_run(compared_benchmark)
    there = compared_benchmark["machine_info"]
    about = there.get("deploybench")
    if isinstance(about, dict) and isinstance(about.get("fingerprint"), dict):
        config.stash.setdefault(COMPARED, []).append(about["fingerprint"])
    here = dict(machine_info)
    machine_info.clear()
    machine_info.update(there)
    try:
        outcome = yield
    finally:
        machine_info.clear()
        machine_info.update(here)
    differing = [name for name in _NAMED if _part(here, name) != _part(there, name)]
    if differing:
        benchmarksession.logger.warning(
            f"the run to compare with was made with another {', '.join(differing)}"
        )
    return outcome


def _require_saved_run(run: Mapping[str, Any]) -> None:
    """Raise UsageError unless a run has what pytest-benchmark compares; it does not look itself."""
    cases = run.get("benchmarks")
    whole = isinstance(run.get("machine_info"), dict) and isinstance(cases, list)
    if not whole or not all(map(_is_case, cases or ())):
        raise pytest.UsageError(
            "the run of --benchmark-compare is not a whole saved run; save it again"
        )


def _is_case(case: Any) -> bool:
    if not isinstance(case, dict) or not isinstance(case.get("fullname"), str):
        return False
    stats = case.get("stats")
    return isinstance(stats, dict) and all(
        isinstance(stats.get(name), int | float) for name in COMPARED_FIGURES
    )


_NAMED = ("node", "machine", "cpu", "system", "release", "python_version")


def _part(machine_info: dict[str, Any], name: str) -> Any:
    """What identifies a part of the machine; of a processor, not the clock it runs at now."""
    part = machine_info.get(name)
    return part.get("brand_raw") if isinstance(part, dict) else part


def require_same_conditions(config: Any, conditions: Mapping[str, Any]) -> None:
    """Say that the run to compare with was made under other conditions.

    Raises UsageError if the tests are to fail by that comparison.
    """
    for compared in config.stash.get(COMPARED, []):
        differing = sorted(
            name for name in {*compared, *conditions} if compared.get(name) != conditions.get(name)
        )
        if not differing:
            continue
        words = f"the run to compare with was made with another {', '.join(differing)}"
        if config.getoption("benchmark_compare_fail"):
            raise UsageError(
                f"--benchmark-compare-fail cannot be used on timed tests: {words}; measure it "
                "again under the conditions of this one"
            )
        config._benchmarksession.logger.warning(words)


@pytest.hookimpl(wrapper=True)
def pytest_benchmark_group_stats(
    config: pytest.Config, benchmarks: list[dict[str, Any]], group_by: str
) -> Generator[None, object, object]:
    """Give each test the parameters that it is grouped by, so that none ends the run."""
    named = [word.removeprefix("param:") for word in group_by.split(",") if "param:" in word]
    timed = config.stash.get(TIMED, {})
    for bench in benchmarks:
        case = timed.get(bench["fullname"])
        known = {"batch_size": str(case[2])} if case else {}
        bench["params"] = {**dict.fromkeys(named, "-"), **known, **(bench["params"] or {})}
    return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None, object, object]:
    """Let a regression that pytest-benchmark has printed fail the run, without a traceback."""
    from pytest_benchmark.session import PerformanceRegression

    try:
        return (yield)
    except PerformanceRegression:
        session: Any = terminalreporter
        if session._session.exitstatus == pytest.ExitCode.OK:
            session._session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return None
