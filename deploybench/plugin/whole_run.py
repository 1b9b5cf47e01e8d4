"""What is wrong with the whole run is one usage error, before anything is timed."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from _pytest.outcomes import Exit

from ..errors import DeploybenchError
from .benchmark_options import require_grouping, require_usable
from .other_plugins import IN_PARALLEL, require_undisturbed


class CannotBegin(Exit):
    """Ends pytest from within a fixture: what is wrong concerns every test that asks for it."""


@contextmanager
def of_the_whole_run(config: pytest.Config) -> Iterator[None]:
    """A context in which an error ends the run, in one line, instead of failing each test.

    A worker of pytest-xdist cannot end the run, so there it fails the tests.
    """
    try:
        yield
    except (DeploybenchError, OSError) as error:
        if is_worker(config):
            raise
        words = str(error)
        if isinstance(error, OSError) and error.filename is not None:
            words = f"'{error.filename}': {error.strerror}"
        raise CannotBegin(" ".join(words.split()), pytest.ExitCode.USAGE_ERROR) from None
    except pytest.fail.Exception as error:
        # A time limit of pytest-timeout. pytest would fail every test with it, and its traceback.
        words = f"cut off before anything was timed ({error}); allow more time for each test"
        raise CannotBegin(words, pytest.ExitCode.USAGE_ERROR) from None


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop() -> Generator[None, object, object]:
    """Report such an error as pytest reports every other usage error."""
    try:
        return (yield)
    except CannotBegin as error:
        raise pytest.UsageError(error.msg) from None


def require_a_run(session: pytest.Session, timed: Collection[str]) -> None:
    """Raise pytest.UsageError if the session cannot time the tests `timed`, given by node id."""
    config: Any = session.config
    benchmarks = getattr(config, "_benchmarksession", None)  # none under pytest-codspeed
    if config.option.collectonly or (benchmarks and benchmarks.skip):
        return
    if timed and is_worker(config):
        _refuse_from_worker(config)
        return
    try:
        if timed:
            require_undisturbed(config)
            require_usable(config, timed)
        if any("benchmark" in getattr(item, "fixturenames", ()) for item in session.items) or timed:
            require_grouping(config.option.benchmark_group_by, _params(session))
    except DeploybenchError as error:
        raise pytest.UsageError(str(error)) from None


def _params(session: pytest.Session) -> set[str]:
    """The parameters of all tests, and the one that every timed test has."""
    of_tests = (getattr(item, "callspec", None) for item in session.items)
    return {"batch_size"}.union(*(found.params for found in of_tests if found))


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is a worker of pytest-xdist."""
    return hasattr(config, "workerinput")


def _refuse_from_worker(config: pytest.Config) -> None:
    # The report of a failed collection reaches the main process before a test is given out.
    report = pytest.CollectReport(CannotBegin.__name__, "failed", IN_PARALLEL, [])
    config.hook.pytest_collectreport(report=report)


class RefusedByWorker:
    """Ends the run, in the main process, when a worker was to time something."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Take the report that a worker sends instead of timing."""
        if report.nodeid == CannotBegin.__name__:
            raise pytest.UsageError(IN_PARALLEL)
