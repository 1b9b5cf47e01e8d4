"""The pytest plugin: its hooks, the generated tests, and how errors are reported.

given_options.py reads the options, fixtures.py has the fixtures, saving.py saves the results of a
run. All of it must load without torch, so that collecting tests and `pytest-benchmark compare`,
which reads the top-level conftest.py, stay fast.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeGuard

import pytest

from .. import options
from ..errors import BackendUnavailable, DeploybenchError, Unsupported, printable_lines
from ..runner.options import RunOptions
from . import other_plugins, whole_run
from .benchmark_options import require_loadable
from .given_options import TEXTS, PytestOptions, read_options
from .ordering import keep_together
from .progress import PROGRESS, Progress

pytest_plugins = [
    f"deploybench.plugin.{name}"
    for name in ("fixtures", "saving", "signals", "comparing", "whole_run", "ending")
]


OPTIONS = pytest.StashKey[PytestOptions]()
TIMED = pytest.StashKey[dict[str, tuple[str, str, int]]]()
"""Model, backend and batch size of each timed test of this session, by its node id."""


CONFLICTS = pytest.StashKey[Callable[[], None]]()
"""Ends the watch for options that others add too."""


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the options of one group, each also readable from pytest.ini."""
    try:
        _add_options(parser)
    except (argparse.ArgumentError, ValueError) as error:
        if taken := other_plugins.conflicting(error, option_names()):
            raise pytest.UsageError(
                f"a conftest.py or another plugin {other_plugins.rename(taken)}"
            ) from None
        raise
    config: Any = pluginmanager.get_plugin("pytestconfig")
    config.stash[CONFLICTS] = other_plugins.name_conflicts(pluginmanager, option_names())
    # In a conftest.py, all that the command line names is loaded by now. Named there itself, this
    # plugin may be loaded before pytest-benchmark, which is waited for.
    if config.known_args_namespace.confcutdir is not None:
        other_plugins.load_pytest_benchmark(pluginmanager)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Load pytest-benchmark, if nobody did, where -p has loaded this plugin."""
    other_plugins.load_pytest_benchmark(early_config.pluginmanager)


def option_names() -> list[str]:
    """The options of this plugin, as on the command line, and their keys."""
    keys = [option.key for option in TEXTS]
    keys += [*options.FLAGS, "resume", "keep_artifacts"]
    return [f"--{key.replace('_', '-')}" for key in keys] + keys


def _add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("deploybench", "deploybench: checked answers, honest latencies")
    for option in TEXTS:
        text = f"{option.help} (default: {option.default})" if option.default else option.help
        group.addoption(f"--{option.name}", metavar=option.metavar, dest=option.key, help=text)
        parser.addini(option.key, f"{option.help}; like --{option.name}")
    for key, text in options.FLAGS.items():
        name = key.replace("_", "-")
        group.addoption(f"--{name}", action="store_true", default=None, dest=key, help=text)
        parser.addini(key, f"like --{name}", type="bool", default=None)
    group.addoption(
        "--resume",
        metavar="RUN",
        help="continue an interrupted run: keep what it has measured and measure the rest",
    )
    group.addoption(
        "--keep-artifacts",
        metavar="FOLDER",
        help="keep all exported files in FOLDER (default: each model's files are removed before "
        "the next model is exported)",
    )
    parser.addini("keep_artifacts", "like --keep-artifacts")


def pytest_configure(config: pytest.Config) -> None:
    """Read the options; one that cannot be used ends the run here, before any test."""
    config.stash[CONFLICTS]()
    # Every saved run keeps its raw samples: runs cannot be pooled from summaries.
    config.option.benchmark_save_data = True
    try:
        require_loadable(config)
        config.stash[OPTIONS] = read_options(config)
    except DeploybenchError as error:
        raise pytest.UsageError(printable_lines(str(error))) from None
    except OSError as error:
        raise pytest.UsageError(f"'{error.filename}': {error.strerror}") from None
    if not whole_run.is_worker(config):
        config.pluginmanager.register(whole_run.RefusedByWorker())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Generate one test per model and backend, model by model, with plain string parameters.

    The batch size is a third parameter if several were given.
    """
    if not {"model", "backend", "batch_size"} <= set(metafunc.fixturenames):
        return
    run = metafunc.config.stash[OPTIONS]
    cases = [
        pytest.param(model.name, backend, str(size), id=case_id(run, model.name, backend, size))
        for model, backend, size in run.cases()
    ]
    if len(run.batch_sizes) == 1:
        metafunc.parametrize(
            ("model", "backend"), [pytest.param(*case.values[:2], id=case.id) for case in cases]
        )
        return
    metafunc.parametrize(("model", "backend", "batch_size"), cases, indirect=["batch_size"])


def case_id(run: RunOptions, model: str, backend: str, batch_size: int) -> str:
    """What stands in the brackets of a test id."""
    size = f"-batch{batch_size}" if len(run.batch_sizes) > 1 else ""
    return f"{model}-{backend}{size}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Under `-n`, keep a model's cases together, unless another --dist was given."""
    if config.getoption("dist") != "load":
        return None
    from .scheduling import ModelScheduling

    return ModelScheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    """Deselect repeated timed tests, keep a model's cases together, let pytest-benchmark see them.

    A run contains each case once, because repeating means repeating the process. For
    --benchmark-only and --benchmark-skip, pytest-benchmark looks at the fixtures that a test names,
    and our tests request `benchmark` only after they were timed.
    """
    repeated = _take_repeated(config, items)
    if repeated:
        config.hook.pytest_deselected(items=repeated)
    timed = [item for item in items if _is_timed(item)]
    named = [item.fixturenames for item in timed]
    for item in timed:
        item.fixturenames = [*item.fixturenames, "benchmark"]
    try:
        outcome = yield
        keep_together(items)
        return outcome
    finally:
        for item, names in zip(timed, named, strict=True):
            item.fixturenames = names


def _take_repeated(config: pytest.Config, items: list[pytest.Item]) -> list[pytest.Item]:
    """Remove repeated timed tests from `items` and return them."""
    seen: set[object] = set()
    kept: list[pytest.Item] = []
    repeated: list[pytest.Item] = []
    for item in items:
        if _is_timed(item):
            test = item.path, item.cls, item.originalname, _case(config, item)
            if test in seen:
                repeated.append(item)
                continue
            seen.add(test)
        kept.append(item)
    items[:] = kept
    return repeated


def _case(config: pytest.Config, item: pytest.Function) -> tuple[str, str, int]:
    """Model, backend and batch size of a timed test."""
    given = item.callspec.params
    only_size = config.stash[OPTIONS].batch_sizes[0]
    size = int(str(given.get("batch_size", only_size)))
    return str(given["model"]), str(given["backend"]), size


def _is_timed(item: pytest.Item) -> TypeGuard[pytest.Function]:
    return isinstance(item, pytest.Function) and "timed_run" in item.fixturenames


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse what cannot be timed, and register the progress lines, one for each timed case."""
    cases = {item.nodeid: _case(session.config, item) for item in session.items if _is_timed(item)}
    session.config.stash[TIMED] = cases
    whole_run.require_a_run(session, cases)
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if cases and reporter and not session.config.option.collectonly:
        bound = session.config.getoption("benchmark_max_time")
        progress = Progress(reporter, cases, float(bound))
        session.config.stash[PROGRESS] = progress
        session.config.pluginmanager.register(progress)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """Do the same as pytest_runtest_call, for errors in fixtures."""
    with _one_line_errors(item.config):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Report a user's errors in one line, and skip what this machine cannot run."""
    with _one_line_errors(item.config):
        return (yield)


@contextmanager
def _one_line_errors(config: pytest.Config) -> Iterator[None]:
    # From None: the library errors behind a message do not help the user.
    try:
        yield
    except BackendUnavailable as error:
        strict = config.stash[OPTIONS].strict_backends
        if strict and not isinstance(error, Unsupported):
            raise pytest.fail.Exception(f"{error} (--strict-backends)", pytrace=False) from None
        raise pytest.skip.Exception(str(error)) from None
    except DeploybenchError as error:
        raise pytest.fail.Exception(printable_lines(str(error)), pytrace=False) from None
