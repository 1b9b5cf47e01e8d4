"""The pytest plugin: options, fixtures and hooks, nothing else.

It must load without torch, so that collecting tests and `pytest-benchmark compare`, which reads
the top-level conftest.py, stay fast.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .. import __version__, options
from ..errors import BackendUnavailable, DeploybenchError, UsageError
from ..settings import resolve, resolve_device
from ..weights import WeightSource
from .progress import LATENCY_PROPERTY, Progress
from .replay import replay

if TYPE_CHECKING:
    from ..agreement import Agreement
    from ..measure import Measurement, Protocol
    from ..workbench import Case, Plan, Workbench

Recorder = Callable[[str, object], None]

FORMAT = 1


@dataclass(frozen=True)
class RunOptions:
    """The suite's options as pytest was given them."""

    models: list[str]
    backends: list[str]
    device: str
    weights: WeightSource
    batch_size: int
    threads: int | None
    strict_backends: bool
    keep_artifacts: Path | None

    def command_line(self) -> str:
        """The options that a run of a single test must repeat, for pasting into a shell."""
        given = {
            "--weights": self.weights.label,
            "--device": self.device,
            "--batch-size": str(self.batch_size),
            "--threads": str(self.threads) if self.threads else None,
        }
        return shlex.join(word for name, text in given.items() if text for word in (name, text))


OPTIONS = pytest.StashKey[RunOptions]()
PLAN = pytest.StashKey["Plan"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of one group, each also readable from pytest.ini."""
    group = parser.getgroup("deploybench", "deploybench: checked answers, honest latencies")
    for option in options.ALL:
        text = f"{option.help} (default: {option.default or 'none'})"
        group.addoption(f"--{option.name}", metavar=option.metavar, dest=option.key, help=text)
        parser.addini(option.key, f"{option.help}; as --{option.name}")
    group.addoption(
        "--strict-backends",
        action="store_true",
        default=None,
        help="fail where a backend cannot run on this machine, instead of skipping (on when the "
        "environment has CI=true)",
    )
    parser.addini("strict_backends", "as --strict-backends", type="bool", default=False)
    group.addoption(
        "--keep-artifacts",
        metavar="FOLDER",
        help="leave every exported file in FOLDER (default: each model's are removed before the "
        "next model's are made)",
    )


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
        option.key: option.value(config.getoption(option.key) or config.getini(option.key))
        for option in options.ALL
    }
    if values["device"].startswith("cuda"):
        resolve_device(values["device"])
    strict = (
        config.getoption("strict_backends")
        or config.getini("strict_backends")
        or os.environ.get("CI", "").lower() in ("true", "1")
    )
    keep = config.getoption("keep_artifacts")
    return RunOptions(
        **values, strict_backends=bool(strict), keep_artifacts=Path(keep) if keep else None
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per model and backend, model by model, with plain strings for parameters."""
    if {"model", "backend"} <= set(metafunc.fixturenames):
        run = metafunc.config.stash[OPTIONS]
        cases = [(model, backend) for model in run.models for backend in run.backends]
        metafunc.parametrize(
            ("model", "backend"), cases, ids=[f"{model}-{backend}" for model, backend in cases]
        )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Under `-n`, keep a model's cases together, unless another --dist was asked for."""
    if config.getoption("dist") != "load":
        return None
    from .scheduling import ModelScheduling

    return ModelScheduling(config, log)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Announce each timed case on a line of its own."""
    cases = {
        item.nodeid: (str(item.callspec.params["model"]), str(item.callspec.params["backend"]))
        for item in session.items
        if isinstance(item, pytest.Function) and "record_latency" in item.fixturenames
    }
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if cases and reporter and not session.config.option.collectonly:
        session.config.pluginmanager.register(Progress(reporter, cases))


def make_plan(run: RunOptions, inputs: int) -> Plan:
    """The plan of a run with these options; imports torch."""
    from ..workbench import Plan

    return Plan(
        settings=resolve(run.device, run.threads),
        weights=run.weights,
        batch_size=run.batch_size,
        inputs=inputs,
        keep=run.keep_artifacts,
    )


@pytest.fixture(scope="session")
def run_options(request: pytest.FixtureRequest) -> RunOptions:
    """The suite's options."""
    return request.config.stash[OPTIONS]


@pytest.fixture(scope="package")
def check_inputs() -> int:
    """How many distinct inputs each case is checked with; a folder of tests may override it."""
    return 8


@pytest.fixture(scope="package")
def workbench(
    request: pytest.FixtureRequest, run_options: RunOptions, check_inputs: int
) -> Iterator[Workbench]:
    """What opens a model through a backend; one for each folder of tests."""
    from ..workbench import Workbench

    plan = make_plan(run_options, check_inputs)
    request.config.stash[PLAN] = plan
    with Workbench(plan) as bench:
        yield bench


@pytest.fixture(scope="session")
def protocol(request: pytest.FixtureRequest) -> Protocol:
    """How each case is measured: pytest-benchmark's own options set the bounds."""
    from ..measure import Protocol

    if os.environ.get("PYTEST_XDIST_WORKER"):
        raise UsageError("tests/perf under -n: cases would disturb each other; run it without -n")
    return Protocol(
        min_rounds=request.config.getoption("benchmark_min_rounds"),
        max_seconds=float(request.config.getoption("benchmark_max_time")),
    )


@pytest.fixture
def require_agreement(
    request: pytest.FixtureRequest, run_options: RunOptions, record_property: Recorder
) -> Callable[[Agreement, str], None]:
    """A function that records a verdict as properties of the test and fails it if it is no match.

    It takes the verdict and what was checked, in words.
    """

    def require(agreement: Agreement, checked: str) -> None:
        record_property(f"verdict: {checked}", agreement.verdict)
        record_property(f"error: {checked}", agreement.error)
        record_property(f"margin: {checked}", agreement.margin)
        if not agreement.agrees:
            again = f'python -m pytest "{request.node.nodeid}" {run_options.command_line()}'
            pytest.fail(f"different, {checked}: {agreement.reason}\nagain: {again}", pytrace=False)

    return require


@pytest.fixture
def record_latency(
    request: pytest.FixtureRequest, record_property: Recorder, protocol: Protocol
) -> Callable[[Case, Agreement, Measurement], None]:
    """A function that enters a checked case's measurement into pytest-benchmark's saved run."""
    if request.config.getoption("benchmark_skip"):
        pytest.skip("--benchmark-skip")

    def record(case: Case, agreement: Agreement, measurement: Measurement) -> None:
        model, backend = case.subject.name, case.backend
        fixture = replay(request, measurement.samples, measurement.clock, model, protocol)
        fixture.extra_info.update(
            column=backend.title,
            column_order=backend.order,
            check=asdict(agreement),
            artifact_sha256=case.artifact.sha256 if case.artifact else None,
            artifact_bytes=case.artifact.bytes if case.artifact else None,
            export_seconds=case.artifact.seconds if case.artifact else None,
            load_seconds=case.load_seconds,
            first_call_ms=case.first_call_seconds * 1e3,
            stopped_by=measurement.stopped_by,
        )
        summary = f"{measurement.median * 1e3:9.2f} ms   {len(measurement.samples)} rounds, "
        record_property(LATENCY_PROPERTY, summary + agreement.verdict)

    return record


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
        if config.stash[OPTIONS].strict_backends:
            raise pytest.fail.Exception(f"{error} (--strict-backends)", pytrace=False) from None
        raise pytest.skip.Exception(str(error)) from None
    except DeploybenchError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(
    config: pytest.Config, machine_info: dict[str, Any]
) -> None:
    """Add what makes this run comparable with another."""
    if PLAN in config.stash:
        from ..environment import fingerprint

        machine_info["deploybench"] = {
            "format": FORMAT,
            "version": __version__,
            "fingerprint": fingerprint(
                config.stash[PLAN], machine_info["cpu"].get("brand_raw", "unknown")
            ),
        }
