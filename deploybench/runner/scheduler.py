"""Measures one model after another; opens, checks and times all its backends interleaved.

A slow spell of the machine then slows all backends, so their ratios stay right. A disturbed model
is timed again, a limited number of times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from math import isfinite

from ..errors import BackendFailed, DeploybenchError, release_frames
from ..machine import packages
from ..machine.interference import Disturbance, Watch
from ..models import Model
from ..records.record import CaseRecord, Check
from ..tasks.agreement import Agreement
from ..timing.interleaving import Timing, measure_interleaved
from ..timing.protocol import Measurement, Protocol
from .opened_case import OpenedCase
from .progress import CHECKING, PREPARING, STARTING_COLD, TIMING, TIMING_AGAIN, Stage, Tell, silent
from .workbench import Workbench, one_line

ATTEMPTS = 2
# After this many models in a row that stayed disturbed, the machine is assumed to be busy.
PATIENCE = 3


@dataclass(frozen=True)
class Outcome:
    """How a case ended: with an agreement and a result, or with a failure.

    agreement: None if it failed before the check. result: None unless the answer was right and the
    case was timed. failure: the error that ended it, to be raised for the user.
    """

    agreement: Agreement | None = None
    result: CaseRecord | None = None
    failure: Exception | None = None


class Scheduler:
    """Times one model after another, and all backends of a model interleaved.

    backends: by model and batch size, the backends to compare. watch: observes the machine. known:
    results of an earlier run, by model, backend and batch size; they are used if they cover all
    backends of a model. saved: called with a model, a batch size and its results by backend, as
    soon as they are measured and again with cold starts; the last call counts. cold_start: also
    start a fresh process for each case. tell: told what the scheduler does next.
    """

    def __init__(
        self,
        workbench: Workbench,
        protocol: Protocol,
        backends: Mapping[tuple[str, int], Sequence[str]],
        watch: Watch,
        known: Mapping[tuple[str, str, int], CaseRecord] | None = None,
        saved: Callable[[str, int, Mapping[str, CaseRecord]], None] = lambda *_: None,
        *,
        cold_start: bool = False,
        tell: Tell = silent,
    ) -> None:
        self._workbench = workbench
        self._protocol = protocol
        self._backends = backends
        self._watch = watch
        self._known = {} if known is None else known
        self._saved = saved
        self._cold_start = cold_start
        self._tell = tell
        self._compared: tuple[str, int] | None = None
        self._outcomes: dict[str, Outcome] = {}
        self._in_vain = 0
        self.repeated = 0
        self.disturbed = 0

    def outcome(self, model: Model, backend: str, batch_size: int) -> Outcome:
        """The outcome of a case; asking for a model's first case times all of its cases."""
        if self._compared != (model.name, batch_size) or backend not in self._outcomes:
            self._compared, self._outcomes = (model.name, batch_size), {}
            asked = self._backends.get(self._compared) or [backend]
            self._begins(PREPARING, *asked)
            able = [each for each in asked if self._can_run(each)]
            try:
                with one_line(model.name, backend):
                    known = self._known_of(model, batch_size, able)
            except DeploybenchError as error:
                release_frames(error)
                self._outcomes |= {each: Outcome(failure=error) for each in able}
                return self._outcomes[backend]
            if known is None:
                self._compare(model, batch_size, able)
            else:
                self._outcomes |= {each: Outcome(result=result) for each, result in known.items()}
        return self._outcomes[backend]

    def _begins(self, doing: str, *backends: str) -> None:
        model, batch_size = self._compared or ("", 1)
        self._tell(Stage(model, batch_size, doing, backends))

    def _can_run(self, backend: str) -> bool:
        try:
            self._workbench.backend(backend)
        except DeploybenchError as error:
            self._outcomes[backend] = Outcome(failure=error)
            return False
        return True

    def _known_of(
        self, model: Model, batch_size: int, backends: Sequence[str]
    ) -> dict[str, CaseRecord] | None:
        """The earlier results of these backends; None unless they cover all of them.

        Samples from different times cannot be paired.
        """
        if not any(name == model.name for name, _, _ in self._known):
            return None
        digest = self._workbench.weights_digest(model, batch_size)
        known = {each: self._known.get((model.name, each, batch_size)) for each in backends}
        whole = {
            each: result
            for each, result in known.items()
            if result and self._whole(result) and result.weights_digest == digest
        }
        return whole if len(whole) == len(backends) else None

    def _whole(self, result: CaseRecord) -> bool:
        plan = self._workbench.plan
        if result.reduced and not plan.judging.made(result.reduced, plan.seed):
            return False
        return not self._cold_start or result.cold_start_seconds is not None

    def _compare(self, model: Model, batch_size: int, backends: Sequence[str]) -> None:
        with ExitStack() as stack:
            opened: dict[str, tuple[OpenedCase, Agreement]] = {}
            for backend in backends:
                try:
                    case = self._workbench.open(model, backend, batch_size, self._begins)
                    stack.callback(self._close, case, batch_size)
                    self._begins(CHECKING, backend)
                    with one_line(model.name, backend):
                        agreement = case.check(batch_size)
                except DeploybenchError as error:
                    release_frames(error)
                    self._outcomes[backend] = Outcome(failure=error)
                    continue
                self._outcomes[backend] = Outcome(agreement)
                if agreement.agrees:
                    opened[backend] = case, agreement
            if opened:
                self._time(model.name, opened)
                self._save(model.name, batch_size)
            if self._cold_start:
                # The latencies were saved before, so an interruption here does not lose them.
                for backend, (case, agreement) in opened.items():
                    self._begins(STARTING_COLD, backend)
                    self._start_cold(case, agreement)
                self._save(model.name, batch_size)

    def _close(self, case: OpenedCase, batch_size: int) -> None:
        """Close a case; if that fails, the case has failed, and the others of its model have not.

        What was measured of it may have been of a backend that was already broken.
        """
        backend = case.backend.name
        try:
            with one_line(case.prepared.name, backend):
                case.close()
        except DeploybenchError as error:
            release_frames(error)
            found = self._outcomes.get(backend, Outcome())
            if found.failure is None:
                self._outcomes[backend] = Outcome(found.agreement, failure=error)
                if found.result is not None:
                    self._save(case.prepared.name, batch_size)

    def _time(self, model: str, opened: Mapping[str, tuple[OpenedCase, Agreement]]) -> None:
        """Time the cases that gave the right answer; the least disturbed attempt counts."""
        best: tuple[Disturbance, dict[str, Measurement | Exception]] | None = None
        attempts = ATTEMPTS if self._in_vain < PATIENCE else 1
        for attempt in range(attempts):
            self._begins(TIMING_AGAIN if attempt else TIMING, *opened)
            disturbance, measured = self._attempt(model, opened)
            if best is None or disturbance.size < best[0].size:
                best = disturbance, measured
            failed = any(isinstance(each, Exception) for each in measured.values())
            if failed or not disturbance.reasons(self._watch.limits):
                best = disturbance, measured
                break
            self.repeated += attempt + 1 < attempts
        assert best is not None
        disturbance, measured = best
        reasons = disturbance.reasons(self._watch.limits)
        self.disturbed += bool(reasons)
        self._in_vain = self._in_vain + 1 if reasons else 0
        for backend, (case, agreement) in opened.items():
            measurement = measured[backend]
            if isinstance(measurement, Exception):
                self._outcomes[backend] = Outcome(agreement, failure=measurement)
                continue
            try:
                with one_line(model, backend):
                    result = describe(case, agreement, measurement, reasons, attempt + 1)
                self._outcomes[backend] = Outcome(agreement, result)
            except DeploybenchError as error:
                release_frames(error)
                self._outcomes[backend] = Outcome(agreement, failure=error)

    def _save(self, model: str, batch_size: int) -> None:
        found = {backend: outcome.result for backend, outcome in self._outcomes.items()}
        self._saved(model, batch_size, {name: each for name, each in found.items() if each})

    def _start_cold(self, case: OpenedCase, agreement: Agreement) -> None:
        """Add the cold start to a case that was timed."""
        backend = case.backend.name
        result = self._outcomes[backend].result
        if result is None:
            return
        try:
            with one_line(case.prepared.name, backend):
                cold = case.cold_start()
        except DeploybenchError as error:
            self._outcomes[backend] = Outcome(agreement, failure=error)
            return
        started = replace(
            result, cold_start_seconds=cold.seconds, cold_start_peak_bytes=cold.peak_bytes
        )
        self._outcomes[backend] = Outcome(agreement, started)

    def _attempt(
        self, model: str, opened: Mapping[str, tuple[OpenedCase, Agreement]]
    ) -> tuple[Disturbance, dict[str, Measurement | Exception]]:
        timings = {backend: case.timing(self._protocol) for backend, (case, _) in opened.items()}
        start = self._watch.look()
        spoiled = self._measure(opened, list(timings.values()))
        disturbance = self._watch.between(start, self._watch.look())
        measured: dict[str, Measurement | Exception] = {}
        for backend, timing in timings.items():
            try:
                with one_line(model, backend):
                    if spoiled and opened[backend][0].artifact is None:
                        raise spoiled
                    measured[backend] = timing.result()
            except DeploybenchError as error:
                release_frames(error)
                measured[backend] = error
        return disturbance, measured

    @staticmethod
    def _measure(
        opened: Mapping[str, tuple[OpenedCase, Agreement]], timings: Sequence[Timing]
    ) -> BackendFailed | None:
        """Time all interleaved; the error for backends that call the module itself, if changed."""
        (prepared,) = {case.prepared for case, _ in opened.values()}
        try:
            with prepared.lent_to("one of the timed backends"):
                measure_interleaved(timings)
        except BackendFailed as error:
            return error
        return None


def describe(
    case: OpenedCase,
    agreement: Agreement,
    measurement: Measurement,
    disturbed: Sequence[str],
    attempts: int,
) -> CaseRecord:
    """The record of a case that was timed."""
    artifact, work = case.artifact, case.prepared.work()
    return CaseRecord(
        case.prepared.name,
        case.backend.name,
        case.backend.title,
        case.backend.order,
        measurement.samples,
        clock=measurement.clock,
        check=Check(**asdict(agreement)),
        batch_size=case.prepared.plan.batch_size,
        flops=work.flops if work else None,
        weight_bytes=work.weight_bytes if work else None,
        artifact_sha256=artifact.sha256 if artifact else None,
        artifact_bytes=artifact.bytes if artifact else None,
        export_seconds=artifact.seconds if artifact else None,
        load_seconds=case.load_seconds,
        first_call_ms=case.first_calls_seconds[0] * 1e3,
        second_call_ms=case.first_calls_seconds[1] * 1e3,
        memory_bytes=case.memory_bytes,
        device_memory_bytes=case.device_memory_bytes,
        needs_python=case.backend.needs_python,
        packages=packages.installed_versions(case.backend.packages()),
        weights_digest=case.prepared.weights_digest,
        reduced=case.reduced,
        stopped_by=measurement.stopped_by,
        precision=measurement.precision if isfinite(measurement.precision) else None,
        turns=measurement.turns,
        device_ms=tuple(1e3 * seconds for seconds in measurement.device_samples),
        neighbours_ms=tuple(1e3 * seconds for seconds in measurement.neighbours),
        disturbed=tuple(disturbed),
        attempts=attempts,
    )
