"""Other plugins and conftest files in the same run: what conflicts with ours is one clear line."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Collection
from typing import Any

import pytest

from ..errors import UsageError


def name_conflicts(
    manager: pytest.PytestPluginManager, ours: Collection[str]
) -> Callable[[], None]:
    """Name the option and the file if a conftest.py or plugin loaded later adds one of `ours`.

    Returns a function that ends this. Without it, argparse's error would end pytest with a
    traceback, before any hook of ours is called.
    """

    def after(outcome: Any, hook_name: str, methods: Any, kwargs: Any) -> None:
        if hook_name != "pytest_addoption" or outcome.exception is None:
            return
        taken = conflicting(outcome.exception, ours)
        if taken:
            plugin = methods[0].plugin
            where = getattr(plugin, "__file__", None) or methods[0].plugin_name
            outcome.force_exception(pytest.UsageError(f"{where} {rename(taken)}"))

    return manager.add_hookcall_monitoring(lambda *_: None, after)


def conflicting(error: BaseException, ours: Collection[str]) -> str:
    """The option of ours that was added twice, by argparse's or pytest's error; empty for none."""
    if not isinstance(error, (argparse.ArgumentError, ValueError)):
        return ""
    words = str(error).replace("'", " ").split()
    found = next((name for name in ours if name in words), "")
    return f"--{found.lstrip('-').replace('_', '-')}" if found else ""


def rename(option: str) -> str:
    """What to do about an option that exists twice."""
    return f"has an option {option}, which is one of deploybench's too; give that one another name"


def given(config: pytest.Config, option: str) -> Any:
    """The value of an option of pytest-benchmark that somebody gave; None if nobody did.

    pytest-benchmark's own defaults are for its own tests, and a timed run has others.
    """
    words = [
        *shlex.split(os.environ.get("PYTEST_ADDOPTS", "")),
        *config.getini("addopts"),
        *map(str, config.invocation_params.args),
    ]
    if any(word.partition("=")[0] == option for word in words):
        return config.getoption(option)
    return None


def require_pytest_benchmark(config: pytest.Config) -> None:
    """Raise UsageError if pytest-benchmark's plugin is not loaded."""
    if not hasattr(config.option, "benchmark_storage"):
        raise UsageError(
            "deploybench.plugin needs pytest-benchmark's plugin, which is not loaded; leave out "
            "-p no:benchmark, and add -p pytest_benchmark.plugin if PYTEST_DISABLE_PLUGIN_AUTOLOAD "
            "is set"
        )


def require_undisturbed(config: pytest.Config) -> None:
    """Raise UsageError if another plugin would distort or take over what is timed."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        raise UsageError(
            "a timed test cannot run in parallel: cases would disturb each other; run it without -n"
        )
    codspeed = config.pluginmanager.hasplugin("codspeed")
    if codspeed and (config.getoption("codspeed", False) or os.environ.get("CODSPEED_ENV")):
        raise UsageError(
            "timed tests cannot run under pytest-codspeed, which replaces pytest-benchmark; run "
            "them without --codspeed"
        )
    if _is_traced():
        raise UsageError(
            "every call of Python is traced, by coverage or a debugger, and would be timed with "
            "it; run timed tests with --no-cov"
        )


def _is_traced() -> bool:
    # From Python 3.12 on, coverage may use sys.monitoring.
    monitoring: Any = getattr(sys, "monitoring", None)
    tools = (monitoring.COVERAGE_ID, monitoring.DEBUGGER_ID) if monitoring else ()
    return sys.gettrace() is not None or any(monitoring.get_tool(tool) for tool in tools)
