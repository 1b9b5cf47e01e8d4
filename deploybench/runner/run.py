"""A run: checks and times every model through every backend, and watches the machine meanwhile.

The pytest plugin and `deploybench.run` are two callers of the same Run.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from .. import __version__
from .. import backends as registry
from ..errors import BackendFailed, BackendUnavailable, WrongAnswer, first_line, release_frames
from ..machine import control_groups
from ..machine.finding import Place
from ..machine.interference import Watch
from ..machine.notices import (
    MachineNoise,
    Notice,
    after_run,
    before_run,
    measure_machine_noise,
)
from ..models import Model, references
from ..records import record as records
from ..records.record import FAILED, WRONG, CaseRecord, FailedCase, RunRecord
from ..tasks.agreement import UNDECIDED
from ..timing import instrumentation, roofline
from ..timing.instrumentation import undisturbed
from ..timing.roofline import Peak
from .fingerprint import Value, fingerprint
from .options import RunOptions
from .progress import Tell, silent
from .scheduler import Outcome, Scheduler
from .workbench import Workbench, recorded

Case = tuple[Model, str, int]
"""Model, backend and batch size."""


class Run:
    """One run, as a context manager, from the first look at the machine to the last.

    cases: the cases to measure, by default all of `options`. known: results of an earlier run, by
    model, backend and batch size; they are used if they cover all cases of a model. on_measured:
    called with a model's name, a batch size and its results by backend as soon as they are
    measured, and again with cold starts; the last call counts. tell: told what the run does next.

    conditions: what must be equal for two runs to be compared. notices: observations of the
    machine. noise: of the machine before and after the run, set at its end. peak: the peak rates of
    the device; None if they cannot be measured.
    """

    def __init__(
        self,
        options: RunOptions,
        cases: Collection[Case] | None = None,
        known: Mapping[tuple[str, str, int], CaseRecord] | None = None,
        on_measured: Callable[[str, int, Mapping[str, CaseRecord]], None] = lambda *_: None,
        tell: Tell = silent,
    ) -> None:
        self.options = options
        self.protocol = options.protocol()
        self._cases = options.cases() if cases is None else list(cases)
        self._known = {} if known is None else known
        self._on_measured = on_measured
        self._tell = tell
        self._plan = options.plan()
        self._backends: dict[tuple[str, int], list[str]] = {}
        self.conditions: Mapping[str, Value] = fingerprint(
            self._plan, self.protocol, options.batch_sizes
        )
        self._outcomes: dict[tuple[str, int], dict[str, Outcome]] = {}
        self.notices: list[Notice] = []
        self.noise: tuple[MachineNoise, MachineNoise] | None = None
        self.peak: Peak | None = None

    def __enter__(self) -> Run:
        # Here, not before: from now on, __exit__ removes what it makes.
        self._workbench = Workbench(self._plan)
        try:
            self._begin()
        except BaseException:
            self._workbench.close()
            raise
        return self

    def _begin(self) -> None:
        settings = self._plan.settings
        self.notices += [Notice(*words) for words in instrumentation.not_paused()]
        self.peak = undisturbed(partial(roofline.peak, settings))
        watch = Watch(settings.device)
        self.notices += before_run(
            watch, threads=settings.threads, quota=control_groups.quota(Place())
        )
        self._throttled_before = control_groups.throttling(Place())
        self._noise_before = undisturbed(partial(measure_machine_noise, settings.device))
        for model, backend, batch_size in self._cases:
            self._backends.setdefault((model.name, batch_size), []).append(backend)
        self._scheduler = Scheduler(
            self._workbench,
            self.protocol,
            self._backends,
            watch,
            self._known,
            self._on_measured,
            cold_start=self.options.cold_start,
            tell=self._tell,
        )

    def outcome(self, model: Model, backend: str, batch_size: int) -> Outcome:
        """The outcome of a case; asking for a model's first case measures all of its cases.

        They are measured once in a run, in whatever order the cases are asked for: a speed-up needs
        rounds of one comparison. So the outcomes of all models are kept, and the sessions of none.
        """
        of_model = self._outcomes.setdefault((model.name, batch_size), {})
        if backend not in of_model:
            asked = self._backends.get((model.name, batch_size), [])
            of_model |= self._measured(model, asked if backend in asked else [backend], batch_size)
        return of_model[backend]

    def _measured(
        self, model: Model, backends: Sequence[str], batch_size: int
    ) -> dict[str, Outcome]:
        found = {}
        try:
            for backend in backends:
                found[backend] = undisturbed(
                    partial(self._scheduler.outcome, model, backend, batch_size)
                )
        except (Exception, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:
            # What ends a test of pytest, such as a time limit. No backend is to blame, and whatever
            # was under way has ended in the middle.
            self._workbench.abandon()
            cut_off = BackendFailed(
                f"{model.name}: cut off while {', '.join(backends)} were measured together: "
                f"{first_line(error)}; a limit must leave time for all of them"
            )
            return dict.fromkeys(backends, Outcome(failure=cut_off))
        for outcome in found.values():
            if outcome.failure is not None:
                release_frames(outcome.failure)
        return found

    def release(self) -> None:
        """Let go of the model measured last, which no outcome needs."""
        self._workbench.release()

    def record(self, path: Path, identity: str, outcomes: Mapping[Case, Outcome]) -> RunRecord:
        """The record of the run with the cases of `outcomes`; path: where it is stored."""
        ends = [(case, outcome) for case, outcome in outcomes.items()]
        return RunRecord(
            path,
            self.conditions,
            tuple(outcome.result for _, outcome in ends if outcome.result),
            identity=identity,
            failed=tuple(failed for end in ends if (failed := _failed(*end))),
            peak=self.recorded_peak(),
            notices=self.recorded_notices(),
            noise=self.recorded_noise(),
            version=__version__,
            options=self.recorded_options(),
        )

    def recorded_options(self) -> Mapping[str, str | bool]:
        """The options that repeat the run, for the record."""
        return self.options.restricted(self._cases).given()

    def recorded_peak(self) -> records.Peak | None:
        """The peak rates of the device, for the record."""
        if self.peak is None:
            return None
        return records.Peak(self.peak.flops_per_second, self.peak.bytes_per_second)

    def recorded_notices(self) -> tuple[records.Notice, ...]:
        """The notices about the machine and the weights, for the record."""
        return recorded(self.notices)

    def recorded_noise(self) -> records.Noise:
        """The noise of the machine, for the record."""
        return records.Noise(
            *(records.MachineNoise(each.median, each.spread) for each in self.noise or ())
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.notices += self._workbench.notices()
            if error is None:
                self._look_again()
        finally:
            self._workbench.close()
            self.notices += [
                Notice(each, "it could not free what it keeps", "tell the author of the backend")
                for each in dict.fromkeys(self._workbench.not_released)
            ]

    def _look_again(self) -> None:
        settings = self._plan.settings
        if self.peak:
            self.peak = undisturbed(partial(roofline.peak, settings, self.peak))
        noise_after = undisturbed(partial(measure_machine_noise, settings.device))
        self.noise = (self._noise_before, noise_after)
        before, after = self._throttled_before, control_groups.throttling(Place())
        self.notices += after_run(
            self._noise_before,
            noise_after,
            repeated=self._scheduler.repeated,
            disturbed=self._scheduler.disturbed,
            throttling=after.since(before) if before and after else None,
        )


def run(
    models: Sequence[Model | str],
    backends: Sequence[str] | None = None,
    *,
    on_case: Callable[[Model, str, int, Outcome], None] = lambda *_: None,
    **options: Any,
) -> RunRecord:
    """Measure `models` through `backends` in this process, and return the record.

    models: Model objects, or names as for `--models`. backends: names; None for the default
    backends. on_case: called with model, backend, batch size and outcome as each case ends.
    options: further fields of RunOptions. Raises UsageError for an option that cannot be used. A
    case that fails or gives a wrong answer is in the record's `failed`.
    """
    chosen = references.distinct([each for model in models for each in _models(model)])
    names = registry.select(",".join(backends)) if backends else registry.default_names()
    asked = RunOptions(chosen, names, **options)
    outcomes: dict[Case, Outcome] = {}
    with Run(asked) as under_way:
        for case in asked.cases():
            outcomes[case] = under_way.outcome(*case)
            on_case(*case, outcomes[case])
    return under_way.record(Path(), uuid.uuid4().hex, outcomes)


def _models(given: Model | str) -> list[Model]:
    return [given] if isinstance(given, Model) else references.select(given)


def _failed(case: Case, outcome: Outcome) -> FailedCase | None:
    """Why a case has no figure; None if it has one, or if this machine cannot run it."""
    model, backend, batch_size = case
    agreement, failure = outcome.agreement, outcome.failure
    if outcome.result or isinstance(failure, BackendUnavailable):
        return None
    undecided = failure is None and agreement is not None and agreement.verdict == UNDECIDED
    wrong = isinstance(failure, WrongAnswer) or (failure is None and not undecided)
    reason = agreement.described("before timing") if agreement else ""
    return FailedCase(
        model.name,
        registry.registry()[backend].title,
        str(failure) if failure else reason,
        WRONG if wrong else FAILED,
        backend,
        batch_size,
    )
