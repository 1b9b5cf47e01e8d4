"""Other plugins and conftest files in the same run: what conflicts with ours is one clear line."""

from __future__ import annotations

import argparse
import importlib
import os
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ..errors import UsageError

BENCHMARK = "pytest_benchmark.plugin"
IN_PARALLEL = (
    "a timed test cannot run in parallel: cases would disturb each other; run it without -n and "
    "--dist, which pytest-benchmark takes for it"
)


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
    if any(word.partition("=")[0] == option for word in words_given(config)):
        return config.getoption(option)
    return None


def words_given(config: pytest.Config) -> list[str]:
    """The words of the command line, of the files of settings and of the environment."""
    words = [
        *shlex.split(os.environ.get("PYTEST_ADDOPTS", "")),
        *config.getini("addopts"),
        *map(str, config.invocation_params.args),
    ]
    return list(_with_those_of_files(words))


def _with_those_of_files(words: Iterable[str]) -> Iterator[str]:
    """The words, and for `@FILE` its lines, as pytest's parser reads them."""
    for word in words:
        if not word.startswith("@"):
            yield word
            continue
        with suppress(OSError, UnicodeDecodeError):
            yield from _with_those_of_files(Path(word[1:]).read_text().splitlines())


def load_pytest_benchmark(manager: pytest.PytestPluginManager) -> None:
    """Load pytest-benchmark's plugin where pytest was told to load none by itself."""
    if manager.is_blocked("benchmark") or manager.is_blocked(BENCHMARK):
        raise pytest.UsageError(
            "deploybench.plugin needs pytest-benchmark's plugin; leave out -p no:benchmark"
        )
    plugin = importlib.import_module(BENCHMARK)
    if not manager.is_registered(plugin):
        # By the name of its entry point, so that it is never loaded twice.
        manager.register(plugin, "benchmark")


def require_undisturbed(config: pytest.Config) -> None:
    """Raise UsageError if another plugin would take over or prevent what is timed."""
    session: Any = config
    codspeed = config.pluginmanager.hasplugin("codspeed")
    if codspeed and (config.getoption("codspeed", False) or os.environ.get("CODSPEED_ENV")):
        raise UsageError(
            "timed tests cannot run under pytest-codspeed, which replaces pytest-benchmark; run "
            "them without --codspeed"
        )
    if not hasattr(session, "_benchmarksession"):
        raise UsageError(
            "another plugin has switched off pytest-benchmark, which timed tests need; run them "
            "without it"
        )
    if session._benchmarksession.disabled and not config.getoption("benchmark_disable"):
        raise UsageError(IN_PARALLEL)
