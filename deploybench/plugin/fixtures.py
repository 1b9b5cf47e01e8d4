"""What the tests ask for: a workbench, a comparison, and how verdicts and latencies are entered."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from statistics import median
from typing import TYPE_CHECKING

import pytest

from ..errors import UsageError, WrongAnswer
from ..settings import resolve
from ..timing.protocol import THROUGHPUT
from . import OPTIONS, TIMED, RunOptions
from .progress import LATENCY_PROPERTY
from .replay import replay
from .saving import SAVING

if TYPE_CHECKING:
    from ..runner.scheduler import Comparison, Outcome
    from ..runner.workbench import Plan, Workbench
    from ..tasks.agreement import Agreement
    from ..timing.protocol import Protocol

Recorder = Callable[[str, object], None]


def make_plan(run: RunOptions, inputs: int) -> Plan:
    """The plan of a run with these options; imports torch."""
    from ..runner.workbench import Plan

    return Plan(
        settings=resolve(
            run.device,
            run.threads,
            dtype=run.dtype,
            tf32=run.tf32,
            channels_last=run.channels_last,
            allocator=run.allocator,
        ),
        weights=run.weights,
        batch_size=run.batch_size[0],
        inputs=inputs,
        keep=run.keep_artifacts,
    )


@pytest.fixture(scope="session")
def run_options(request: pytest.FixtureRequest) -> RunOptions:
    """The suite's options."""
    return request.config.stash[OPTIONS]


@pytest.fixture
def batch_size(request: pytest.FixtureRequest, run_options: RunOptions) -> int:
    """Inputs per call: of this test where there are several, else of the run."""
    return int(getattr(request, "param", run_options.batch_size[0]))


@pytest.fixture(scope="package")
def check_inputs() -> int:
    """How many distinct inputs each case is checked with; a folder of tests may override it."""
    return 8


@pytest.fixture(scope="package")
def workbench(run_options: RunOptions, check_inputs: int) -> Iterator[Workbench]:
    """What opens a model through a backend; one for each folder of tests."""
    from ..runner.workbench import Workbench

    with Workbench(make_plan(run_options, check_inputs)) as bench:
        yield bench


@pytest.fixture(scope="session")
def protocol(request: pytest.FixtureRequest, run_options: RunOptions) -> Protocol:
    """How each case is measured: pytest-benchmark's own options set the bounds."""
    from ..timing.protocol import Protocol

    if os.environ.get("PYTEST_XDIST_WORKER"):
        raise UsageError("tests/perf under -n: cases would disturb each other; run it without -n")
    given = request.config.getoption
    return Protocol(
        min_rounds=given("benchmark_min_rounds"),
        max_seconds=float(given("benchmark_max_time")),
        # Older versions of pytest-benchmark have neither.
        precision=given("benchmark_precision", None) or Protocol.precision,
        confidence=given("benchmark_confidence", None) or Protocol.confidence,
        metric=run_options.metric,
        include_copies=run_options.include_copies,
    )


@pytest.fixture(scope="package")
def comparison(
    request: pytest.FixtureRequest,
    run_options: RunOptions,
    workbench: Workbench,
    protocol: Protocol,
) -> Iterator[Comparison]:
    """What times all backends of a model side by side; watches the machine meanwhile."""
    from ..machine.interference import Watch
    from ..machine.notices import after_run, before_run, measure_machine_noise
    from ..runner.fingerprint import fingerprint
    from ..runner.scheduler import Comparison
    from ..timing.roofline import peak

    saving = request.config.stash[SAVING]
    best = peak(workbench.plan.settings)
    saving.peak = best
    saving.begin(fingerprint(workbench.plan, protocol, run_options.batch_size))
    device = workbench.plan.settings.device
    watch = Watch(device)
    saving.notices += before_run(watch)
    noise_before = measure_machine_noise(device)
    backends: dict[tuple[str, int], list[str]] = {}
    for model, backend, batch_size in request.config.stash[TIMED].values():
        backends.setdefault((model, batch_size), []).append(backend)
    compared = Comparison(
        workbench,
        protocol,
        backends,
        watch,
        saving.taken_over,
        saving.put,
        cold_start=run_options.cold_start,
    )
    yield compared
    if best and (again := peak(workbench.plan.settings)):
        saving.peak = best.best(again)
    noise_after = measure_machine_noise(device)
    saving.noise = (noise_before, noise_after)
    saving.notices += after_run(
        noise_before, noise_after, repeated=compared.repeated, disturbed=compared.disturbed
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
            case = (request.node.callspec.params[name] for name in ("model", "backend"))
            again = f'python -m pytest "{request.node.nodeid}" {run_options.command_line(*case)}'
            raise WrongAnswer(f"different, {checked}: {agreement.reason}\nagain: {again}")

    return require


@pytest.fixture
def record_latency(
    request: pytest.FixtureRequest,
    record_property: Recorder,
    protocol: Protocol,
    batch_size: int,
) -> Callable[[Outcome], None]:
    """A function that enters a case's samples into pytest-benchmark's saved run, once.

    It raises what ended the case, if anything did.
    """

    def record(outcome: Outcome) -> None:
        if outcome.failure is not None:
            raise outcome.failure
        assert outcome.result is not None
        case = outcome.result
        samples = case.samples_seconds
        if request.config.stash[SAVING].enter(case):
            fixture = replay(request, samples, str(case.clock), case.model, protocol)
            fixture.extra_info.update(case.extra_info())
        figure = f"{case.latency_ms:9.2f} ms"
        if protocol.metric == THROUGHPUT:
            figure = f"{batch_size / median(samples):9.1f} images/s"
        marks = "; ".join(("", *case.disturbed))
        verdict = case.check.verdict if case.check else ""
        words = f"{figure}   {len(samples)} rounds, {verdict}{marks}"
        record_property(LATENCY_PROPERTY, words)

    return record
