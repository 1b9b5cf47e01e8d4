"""A run: every model through every backend, checked and timed, on a machine that is watched.

The pytest plugin and `deploybench.run` are two callers of the same Run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import TracebackType

from ..machine.interference import Watch
from ..machine.notices import (
    MachineNoise,
    Notice,
    after_run,
    before_run,
    measure_machine_noise,
)
from ..models import Model
from ..timing import roofline
from ..timing.roofline import Peak
from .fingerprint import Value, fingerprint
from .options import RunOptions
from .scheduler import Comparison, Outcome, Result
from .workbench import Workbench

Case = tuple[Model, str, int]
"""Model, backend and batch size."""


class Run:
    """A run under way, from the first look at the machine to the last.

    cases: those to be measured, by default all of `options`. known: results by model, backend and
    batch size that an earlier run has measured; they count where they are all that is asked of a
    model. on_measured: called with a model's name, a batch size and its results by backend as soon
    as they are there, and again when cold starts are; the last call counts.

    conditions: what must be equal for two runs to be compared. notices: what was seen of the
    machine. noise: the machine's own before and after the run, the latter once it has ended. peak:
    what the device does at best; None where that cannot be measured.
    """

    def __init__(
        self,
        options: RunOptions,
        cases: Collection[Case] | None = None,
        known: Mapping[tuple[str, str, int], Result] | None = None,
        on_measured: Callable[[str, int, Mapping[str, Result]], None] = lambda *_: None,
    ) -> None:
        self.options = options
        self.protocol = options.protocol()
        self._cases = options.cases() if cases is None else list(cases)
        self._known = known or {}
        self._on_measured = on_measured
        plan = options.plan()
        self.conditions: Mapping[str, Value] = fingerprint(plan, self.protocol, options.batch_sizes)
        self.notices: list[Notice] = []
        self.noise: tuple[MachineNoise, MachineNoise] | None = None
        self.peak: Peak | None = None
        self._workbench = Workbench(plan)

    def __enter__(self) -> Run:
        settings = self._workbench.plan.settings
        self.peak = roofline.peak(settings)
        watch = Watch(settings.device)
        self.notices += before_run(watch)
        self._noise_before = measure_machine_noise(settings.device)
        backends: dict[tuple[str, int], list[str]] = {}
        for model, backend, batch_size in self._cases:
            backends.setdefault((model.name, batch_size), []).append(backend)
        self._comparison = Comparison(
            self._workbench,
            self.protocol,
            backends,
            watch,
            self._known,
            self._on_measured,
            cold_start=self.options.cold_start,
        )
        return self

    def outcome(self, model: Model, backend: str, batch_size: int) -> Outcome:
        """How that case ended; asking for a model's first case measures all of them."""
        return self._comparison.outcome(model, backend, batch_size)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._look_again()
        finally:
            self._workbench.close()

    def _look_again(self) -> None:
        settings = self._workbench.plan.settings
        if self.peak and (again := roofline.peak(settings)):
            self.peak = self.peak.best(again)
        noise_after = measure_machine_noise(settings.device)
        self.noise = (self._noise_before, noise_after)
        self.notices += after_run(
            self._noise_before,
            noise_after,
            repeated=self._comparison.repeated,
            disturbed=self._comparison.disturbed,
        )
