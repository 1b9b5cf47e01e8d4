"""The fixtures: a workbench, a timed run, and functions that record verdicts and latencies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

import pytest

from ..errors import BackendFailed, WrongAnswer
from ..models import Model
from ..runner.progress import silent
from ..tasks import fidelity
from ..tasks.agreement import UNDECIDED
from ..timing.instrumentation import undisturbed
from ..timing.protocol import THROUGHPUT
from . import OPTIONS, TIMED, PytestOptions
from .comparing import require_same_conditions
from .other_plugins import given
from .progress import LATENCY_PROPERTY, PROGRESS
from .replay import replay
from .saving import SAVING
from .whole_run import of_the_whole_run

if TYPE_CHECKING:
    from ..runner.options import RunOptions
    from ..runner.run import Run
    from ..runner.scheduler import Outcome
    from ..runner.workbench import Workbench
    from ..tasks.agreement import Agreement

Recorder = Callable[[str, object], None]


@pytest.fixture(scope="session")
def run_options(request: pytest.FixtureRequest) -> PytestOptions:
    """The options of this run."""
    return request.config.stash[OPTIONS]


@pytest.fixture(scope="session")
def models(run_options: RunOptions) -> dict[str, Model]:
    """The models of the run, by name."""
    return {model.name: model for model in run_options.models}


@pytest.fixture
def batch_size(request: pytest.FixtureRequest, run_options: RunOptions) -> int:
    """The inputs per call of this test, or of the run if it has only one batch size."""
    return int(getattr(request, "param", run_options.batch_sizes[0]))


@pytest.fixture(scope="package")
def check_inputs() -> int:
    """The number of distinct inputs that check each answer; a folder of tests may override it."""
    return 8


@pytest.fixture(scope="package")
def timed_inputs() -> int:
    """The number of distinct inputs that a timed case answers; a folder of tests may override it.

    The check comes before every figure, and the float64 reference of eight images would take as
    long as the timing itself.
    """
    return 2


@pytest.fixture(scope="package")
def workbench(
    request: pytest.FixtureRequest, run_options: RunOptions, check_inputs: int
) -> Iterator[Workbench]:
    """The workbench that opens models through backends; one for each folder of tests."""
    from ..runner.workbench import Workbench, recorded

    with of_the_whole_run(request.config):
        opened = Workbench(replace(run_options, inputs=check_inputs).plan())
    saving = request.config.stash[SAVING]
    with opened as bench:
        yield bench
    saving.notices = [*saving.notices, *recorded(bench.notices())]


@pytest.fixture(scope="package")
def timed_options(
    request: pytest.FixtureRequest, run_options: RunOptions, timed_inputs: int
) -> RunOptions:
    """The options of a timed run: pytest-benchmark's own options, if given, set the bounds."""
    config = request.config
    max_seconds = given(config, "--benchmark-max-time")
    return replace(
        run_options,
        inputs=timed_inputs,
        min_rounds=given(config, "--benchmark-min-rounds"),
        max_seconds=None if max_seconds is None else float(max_seconds),
        # Older versions of pytest-benchmark have neither.
        precision=config.getoption("benchmark_precision", None),
        confidence=config.getoption("benchmark_confidence", None),
    )


class TimedRuns:
    """The runs of a session, which end with it: one, unless folders differ in `timed_inputs`.

    Tests of several folders may come in any order, and a model is still measured once.
    """

    def __init__(self, config: pytest.Config, models: dict[str, Model]) -> None:
        self._config = config
        self._models = models
        self._runs: dict[int, Run] = {}
        self._ends = ExitStack()

    def of(self, options: RunOptions) -> Run:
        """The run with these options, which begins when it is first asked for."""
        if options.inputs not in self._runs:
            saving = self._config.stash[SAVING]
            timed = self._config.stash[TIMED].values()
            cases = [(self._models[model], backend, size) for model, backend, size in timed]
            with of_the_whole_run(self._config):
                from ..runner.run import Run

                progress = self._config.stash.get(PROGRESS, None)
                tell = progress.tell if progress else silent
                run = Run(options, cases, saving.taken_over, saving.put, tell)
                require_same_conditions(self._config, run.conditions)
                self._ends.enter_context(run)
                if not self._runs:
                    # Set before the journal is created, which is all that an interrupted run
                    # leaves.
                    saving.peak, saving.options = run.recorded_peak(), run.recorded_options()
                    saving.begin(run.conditions)
            self._runs[options.inputs] = run
        return self._runs[options.inputs]

    def end(self) -> None:
        """End them, and hand over what was observed."""
        try:
            self._ends.close()
        finally:
            saving = self._config.stash[SAVING]
            for run in list(self._runs.values())[:1]:
                saving.peak, saving.noise = run.recorded_peak(), run.recorded_noise()
            found = (notice for run in self._runs.values() for notice in run.recorded_notices())
            saving.notices = [*saving.notices, *dict.fromkeys(found)]


@pytest.fixture(scope="session")
def timed_runs(request: pytest.FixtureRequest, models: dict[str, Model]) -> Iterator[TimedRuns]:
    """The runs of this session."""
    runs = TimedRuns(request.config, models)
    try:
        yield runs
    finally:
        runs.end()


@pytest.fixture(scope="package")
def timed_run(timed_runs: TimedRuns, timed_options: RunOptions) -> Iterator[Run]:
    """The run, which times all backends of a model interleaved and watches the machine."""
    run = timed_runs.of(timed_options)
    yield run
    run.release()


@pytest.fixture
def require_agreement(
    request: pytest.FixtureRequest, run_options: PytestOptions, record_property: Recorder
) -> Callable[[Agreement, str], None]:
    """A function that records an agreement as test properties and fails the test if it disagrees.

    It takes the agreement and what was checked, in words.
    """

    def require(agreement: Agreement, checked: str) -> None:
        record_property(f"verdict: {checked}", agreement.verdict)
        if agreement.verdict == UNDECIDED:
            raise BackendFailed(agreement.reason)
        record_property(f"error: {checked}", agreement.error)
        record_property(f"margin: {checked}", agreement.margin)
        if not agreement.agrees:
            case = (request.node.callspec.params[name] for name in ("model", "backend"))
            again = f'python -m pytest "{request.node.nodeid}" {run_options.command_line(*case)}'
            raise WrongAnswer(f"{agreement.described(checked)}\nagain: {again}")

    return require


@pytest.fixture
def require_budget() -> Callable[[Agreement], None]:
    """A function that holds a backend of reduced precision to its budget."""
    return hold_to_budget


def hold_to_budget(agreement: Agreement) -> None:
    """Fail the test of a backend of reduced precision that is over its budget.

    Where nothing can be claimed, skip it and say why: nothing is proven then.
    """
    if agreement.verdict == fidelity.OVER:
        raise WrongAnswer(agreement.reason)
    if agreement.verdict in (fidelity.NOT_JUDGED, fidelity.UNDECIDED):
        raise pytest.skip.Exception(agreement.reason)


@pytest.fixture
def record_latency(
    request: pytest.FixtureRequest,
    record_property: Recorder,
    timed_run: Run,
    batch_size: int,
) -> Callable[[Outcome], None]:
    """A function that adds a case's samples to pytest-benchmark's saved run, once.

    If the case failed, it raises the failure.
    """

    def record(outcome: Outcome) -> None:
        if outcome.failure is not None:
            raise outcome.failure
        assert outcome.result is not None
        case = outcome.result
        samples = case.samples_seconds
        if request.config.stash[SAVING].enter(case):
            # pytest-benchmark cannot pause a profiler in C.
            fixture = undisturbed(
                lambda: replay(request, samples, str(case.clock), case.model, timed_run.protocol)
            )
            fixture.extra_info.update(case.extra_info())
        figure = f"{case.latency_ms:9.2f} ms"
        if timed_run.protocol.metric == THROUGHPUT:
            figure = f"{batch_size / median(samples):9.1f} images/s"
        marks = "; ".join(("", *case.disturbed))
        verdict = case.check.verdict if case.check else ""
        figure += case.reduced.mark if case.reduced else ""
        words = f"{figure}   {len(samples)} rounds, {verdict}{marks}"
        record_property(LATENCY_PROPERTY, words)

    return record
