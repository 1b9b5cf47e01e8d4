"""The pytest plugin: its options, which tests there are, and how errors end.

fixtures.py has what tests ask for, saving.py what happens to a run's results. All of it must load
without torch, so that collecting tests and `pytest-benchmark compare`, which reads the top-level
conftest.py, stay fast.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import pytest

from .. import options
from ..errors import BackendUnavailable, DeploybenchError, Unsupported, UsageError
from ..settings import resolve_device
from ..weights import WeightSource
from .progress import Progress

pytest_plugins = ["deploybench.plugin.fixtures", "deploybench.plugin.saving"]


@dataclass(frozen=True)
class RunOptions:
    """The suite's options as pytest was given them."""

    models: list[str]
    backends: list[str]
    device: str
    weights: WeightSource
    batch_size: tuple[int, ...]
    threads: int | None
    metric: str
    dtype: str
    tf32: str | None
    allocator: str | None
    channels_last: bool
    include_copies: bool
    cold_start: bool
    strict_backends: bool
    keep_artifacts: Path | None

    def command_line(self, model: str, backend: str) -> str:
        """The options that a run of a single test must repeat, for pasting into a shell."""
        given = {
            "--models": model,
            "--backends": backend,
            "--weights": self.weights.label,
            "--device": self.device,
            "--batch-size": ",".join(map(str, self.batch_size)),
            "--threads": str(self.threads) if self.threads else None,
            "--dtype": self.dtype,
            "--tf32": self.tf32,
            "--allocator": self.allocator,
        }
        words = [word for name, text in given.items() if text for word in (name, text)]
        return shlex.join([*words, *(["--channels-last"] if self.channels_last else [])])


OPTIONS = pytest.StashKey[RunOptions]()
TIMED = pytest.StashKey[dict[str, tuple[str, str, int]]]()
"""Model, backend and batch size of each timed test that is to run, by its node id."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of one group, each also readable from pytest.ini."""
    group = parser.getgroup("deploybench", "deploybench: checked answers, honest latencies")
    for option in (*options.ALL, *options.OF_A_RUN):
        text = f"{option.help} (default: {option.default})" if option.default else option.help
        group.addoption(f"--{option.name}", metavar=option.metavar, dest=option.key, help=text)
        parser.addini(option.key, f"{option.help}; as --{option.name}")
    for key, text in options.FLAGS.items():
        name = key.replace("_", "-")
        group.addoption(f"--{name}", action="store_true", default=None, dest=key, help=text)
        parser.addini(key, f"as --{name}", type="bool", default=False)
    group.addoption(
        "--resume",
        metavar="RUN",
        help="go on with a run that was broken off: what it had measured is taken over",
    )
    group.addoption(
        "--keep-artifacts",
        metavar="FOLDER",
        help="leave every exported file in FOLDER (default: each model's are removed before the "
        "next model's are made)",
    )
    parser.addini("keep_artifacts", "as --keep-artifacts")


def pytest_configure(config: pytest.Config) -> None:
    """Read the options; what cannot be used ends the run here, before any test."""
    config.addinivalue_line("markers", "slow: takes minutes; run with -m slow")
    # Every saved run keeps its raw samples: medians of medians cannot be had from summaries.
    config.option.benchmark_save_data = True
    try:
        config.stash[OPTIONS] = _read_options(config)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None


def _read_options(config: pytest.Config) -> RunOptions:
    values: dict[str, Any] = {
        option.key: option.value(
            config.getini(option.key) or None
            if (given := config.getoption(option.key)) is None
            else given
        )
        for option in (*options.ALL, *options.OF_A_RUN)
    }
    if values["device"].startswith("cuda"):
        resolve_device(values["device"])
    for key in options.FLAGS:
        values[key] = bool(config.getoption(key) or config.getini(key))
    values["strict_backends"] |= os.environ.get("CI", "").lower() in ("true", "1")
    keep = config.getoption("keep_artifacts")
    if keep == "":
        raise UsageError("--keep-artifacts '' is no folder; name one")
    keep = keep or config.getini("keep_artifacts")
    return RunOptions(**values, keep_artifacts=Path(keep) if keep else None)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per model and backend, model by model, with plain strings for parameters.

    The batch size is a third one where several were given.
    """
    if not {"model", "backend", "batch_size"} <= set(metafunc.fixturenames):
        return
    run = metafunc.config.stash[OPTIONS]
    if len(run.batch_size) == 1:
        cases = [(model, backend) for model in run.models for backend in run.backends]
        metafunc.parametrize(("model", "backend"), cases, ids=["-".join(case) for case in cases])
        return
    metafunc.parametrize(
        ("model", "backend", "batch_size"),
        [
            pytest.param(model, backend, str(size), id=f"{model}-{backend}-batch{size}")
            for model in run.models
            for size in run.batch_size
            for backend in run.backends
        ],
        indirect=["batch_size"],
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Under `-n`, keep a model's cases together, unless another --dist was asked for."""
    if config.getoption("dist") != "load":
        return None
    from .scheduling import ModelScheduling

    return ModelScheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """Let pytest-benchmark know its own, for --benchmark-only and --benchmark-skip.

    It goes by the fixtures that a test names, and ours asks for `benchmark` only once it was timed.
    """
    timed = [item for item in items if _is_timed(item)]
    named = [item.fixturenames for item in timed]
    for item in timed:
        item.fixturenames = [*item.fixturenames, "benchmark"]
    try:
        return (yield)
    finally:
        for item, names in zip(timed, named, strict=True):
            item.fixturenames = names


def _is_timed(item: pytest.Item) -> TypeGuard[pytest.Function]:
    return isinstance(item, pytest.Function) and "comparison" in item.fixturenames


def pytest_collection_finish(session: pytest.Session) -> None:
    """Announce each timed case on a line of its own."""
    plugins = session.config.pluginmanager
    if "hypothesis" not in sys.modules and plugins.has_plugin("hypothesispytest"):
        # No test uses it, and for its summary its plugin would import it: half a second or more.
        plugins.unregister(name="hypothesispytest")
    only_size = session.config.stash[OPTIONS].batch_size[0]
    cases = {
        item.nodeid: (
            str(item.callspec.params["model"]),
            str(item.callspec.params["backend"]),
            int(str(item.callspec.params.get("batch_size", only_size))),
        )
        for item in session.items
        if _is_timed(item)
    }
    session.config.stash[TIMED] = cases
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if cases and reporter and not session.config.option.collectonly:
        session.config.pluginmanager.register(Progress(reporter, cases))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """As pytest_runtest_call, for what fixtures raise."""
    with _one_line_errors(item.config):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Let a user's errors end in one line, and what this machine lacks in a skip."""
    with _one_line_errors(item.config):
        return (yield)


@contextmanager
def _one_line_errors(config: pytest.Config) -> Iterator[None]:
    # From None: the libraries' own errors behind a message are no help to a user.
    try:
        yield
    except BackendUnavailable as error:
        strict = config.stash[OPTIONS].strict_backends
        if strict and not isinstance(error, Unsupported):
            raise pytest.fail.Exception(f"{error} (--strict-backends)", pytrace=False) from None
        raise pytest.skip.Exception(str(error)) from None
    except DeploybenchError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
