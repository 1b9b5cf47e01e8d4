"""A model with its weights, its inputs, its references and its exported files."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .. import batches, settings, tasks
from ..backends.base import Backend
from ..backends.session import InProcessSession, Session
from ..batches import Batch
from ..errors import BackendFailed
from ..models import Model, preparation, weights
from ..models.state_digest import state_digest
from ..models.weights import WeightSource
from ..nested import flatten
from ..settings import Settings
from ..tasks.agreement import Agreement
from ..timing import roofline
from ..timing.protocol import stopwatch
from ..timing.roofline import Work
from . import eager_checks, expected_output
from .reduced_precision import DEFAULT_JUDGING, Judging, ReducedPrecision


@dataclass(frozen=True)
class Plan:
    """How a run prepares every model.

    weights: where the weights come from. batch_size: inputs per call. inputs: the minimum number of
    distinct inputs for the check. seed: of random weights and inputs. keep: the folder to keep the
    artifacts in; None for a temporary one that is emptied after each model. judging: of reduced
    precision.
    """

    settings: Settings
    weights: WeightSource
    batch_size: int = 1
    inputs: int = 8
    seed: int = 0
    keep: Path | None = None
    judging: Judging = DEFAULT_JUDGING


@dataclass(frozen=True)
class Artifact:
    """An exported file.

    seconds: the time of the export. judged: what was found of the program in memory, by batch size;
    the backends that share the file need not judge it again.
    """

    path: Path
    sha256: str
    bytes: int
    seconds: float
    in_memory: Callable[..., Any] | None
    judged: dict[int, Agreement] = field(default_factory=dict, compare=False)


class PreparedModel:
    """A model with its weights, inputs and references: everything that the backends share.

    module: in evaluation mode, on the run's device, in its dtype and layout. inputs: one batch of
    all inputs, on the CPU, with floating-point tensors in that dtype and images in that layout; it
    can be divided by the batch size without a rest. The reference is
    computed in float64 from the weights and inputs after rounding to that dtype. The reference and
    eager's answers are computed before any backend gets the module; otherwise a backend that
    changes the module would be compared with its own damage.
    """

    def __init__(self, model: Model, plan: Plan, folder: Path) -> None:
        self.model = model
        self.name = model.name
        self.task = tasks.find(model.task)
        expected_output.require_usable(model)
        self.plan = plan
        self._folder = folder
        self._artifacts: dict[str, Artifact] = {}
        self._spoiled = ""
        self._dtype = getattr(torch, plan.settings.dtype)
        self._layout = torch.channels_last if plan.settings.channels_last else torch.preserve_format
        self.module = self._build()
        self.inputs = self._inputs()
        self._state = state_digest(self.module)
        self._require_sound()
        exact = expected_output.expected_outputs(model, self.module, self.batches(8), plan.settings)
        self._expected = None if exact is None else self._join(exact)
        self._references: dict[int, Any] = {}
        self._paths: dict[int, list[str]] = {}
        self.reference(plan.batch_size)
        if state_digest(self.module) != self._state:
            raise BackendFailed(
                f"{self.name} changes its own state when it is called, so its calls cannot be "
                "compared; its forward must not change parameters, buffers or attributes"
            )
        self.reduced_precision = ReducedPrecision(self, plan.judging)
        self._work: Work | None = None
        self._work_counted = False

    def _inputs(self) -> Batch:
        plan = self.plan
        count = plan.batch_size * math.ceil(plan.inputs / plan.batch_size)
        given = self.model.arguments(self.module, count, plan.seed)
        return batches.convert(given, self._dtype, channels_last=plan.settings.channels_last)

    def _require_sound(self) -> None:
        few = self.batches(eager_checks.INPUTS)[0], self.batches(1)[: eager_checks.INPUTS]
        eager_checks.require_sound(self.name, self.module, *few, self.plan.settings)

    def _build(self) -> nn.Module:
        torch.manual_seed(self.plan.seed)
        module = self.model.built()
        applied = weights.apply(module, self.model, self.plan.weights, self.plan.seed)
        self.weights_digest = applied.digest if applied else None
        self.weights_taken = applied.taken if applied else None
        # What builds a model may have changed them, such as the number of threads, for all backends
        # of this process and not for those in C++.
        settings.apply(self.plan.settings)
        device = self.plan.settings.device
        return module.to(device, self._dtype).to(memory_format=self._layout)

    @contextmanager
    def lent_to(self, borrower: str) -> Iterator[None]:
        """A context in which `borrower` uses the module; raises BackendFailed if it was changed.

        The module is then rebuilt in place, and files exported meanwhile are discarded, so the
        change does not affect others that use the module or share the files.
        """
        if self._spoiled:
            raise BackendFailed(self._spoiled)
        exported = set(self._artifacts)
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:
            # It may have failed in the middle of a change.
            self._require_unchanged(borrower, exported)
            raise
        self._require_unchanged(borrower, exported)

    def _require_unchanged(self, borrower: str, exported: set[str]) -> None:
        if state_digest(self.module) == self._state:
            return
        for name in set(self._artifacts) - exported:
            del self._artifacts[name]
        changed = f"{borrower} changed the model that it was given (weights, buffers or structure)"
        self._restore()
        if state_digest(self.module) != self._state:
            self._spoiled = (
                f"{changed} and {self.name} cannot be built the same again; measure it without "
                f"{borrower}"
            )
        raise BackendFailed(
            f"{changed}, so its answer for {self.name} cannot be judged; make it work on a copy"
        )

    def _restore(self) -> None:
        """Give the module its original state in place, for everyone who has a reference to it."""
        original = self._build()
        self.module.__class__ = original.__class__
        vars(self.module).clear()
        vars(self.module).update(vars(original))

    def batches(self, batch_size: int) -> list[Batch]:
        """The inputs in batches of `batch_size`."""
        return batches.split(self.inputs, batch_size)

    def example(self) -> Batch:
        """The first inputs, as many as the run's batch size.

        They are copies: torch.export would give a part of a tensor sizes that are symbols.
        """
        return tuple(
            each.clone() for each in batches.rows(self.inputs, slice(self.plan.batch_size))
        )

    def reference(self, batch_size: int) -> Any:
        """What the task made of float64 and of eager in batches of `batch_size`, for all inputs."""
        if batch_size not in self._references:
            session = InProcessSession(self.module, self.plan.settings)
            outputs = [session.predict(batch) for batch in self.batches(batch_size)]
            self._references[batch_size] = expected_output.reference(
                self.model, self.task, self._expected, self._join(outputs)
            )
            self._paths[batch_size] = list(flatten(outputs[0]))
        return self._references[batch_size]

    def _join(self, outputs: list[Any]) -> Any:
        """The outputs of all batches as one, by the task."""
        try:
            return self.task.join(outputs)
        except TypeError as error:
            raise BackendFailed(
                f"the output of {self.name} cannot be judged as {self.task.name}: {error}"
            ) from error

    def judge(self, session: Session, batch_size: int) -> Agreement:
        """Judge the outputs of `session` for all inputs, in batches of `batch_size`."""
        return self.judge_outputs(session, self.outputs(session, batch_size), batch_size)

    def outputs(self, session: Session, batch_size: int) -> list[Any]:
        """What `session` answers to all inputs, in batches of `batch_size`."""
        return [session.predict(batch) for batch in self.batches(batch_size)]

    def judge_outputs(self, session: Session, outputs: Sequence[Any], batch_size: int) -> Agreement:
        """Judge the outputs of `session` for all batches."""
        reference = self.reference(batch_size)
        named = [self._named(session, output, batch_size) for output in outputs]
        return self.task.judge(self._join(named), reference)

    def judge_rows(self, session: Session, output: Any, batch_size: int, rows: slice) -> Agreement:
        """Judge one output of `session`, for some of the inputs."""
        reference = self.task.rows(self.reference(batch_size), rows)
        return self.task.judge(self._named(session, output, batch_size), reference)

    def _named(self, session: Session, output: Any, batch_size: int) -> Any:
        """The output with eager's names, if the session only knows the order of its parts."""
        if session.positional:
            found, paths = list(flatten(output).values()), self._paths[batch_size]
            if len(found) == len(paths):
                return dict(zip(paths, found, strict=True))
        return output

    def work(self) -> Work | None:
        """The work of one call at the run's batch size; None if it cannot be counted."""
        if not self._work_counted:
            self._work_counted = True
            # Some modules have tensors that cannot be replaced. Their latencies are still valid.
            with suppress(Exception):
                self._work = roofline.work(self.module, self.example())
        return self._work

    def artifact(self, backend: Backend) -> Artifact | None:
        """The file that `backend` deploys, exported on first use; None if it deploys none."""
        if backend.format is None:
            return None
        name = backend.format.suffix
        if name not in self._artifacts:
            path = self._folder / f"{self.model.file_stem}.{name}"
            example = batches.to_device(self.example(), self.plan.settings.device)
            given = (self.reduced_precision.calibration,) if backend.precision else ()
            in_memory, seconds = stopwatch(
                lambda: backend.export(self.module, example, path, *given)
            )
            if self.plan.keep and path.suffix == ".ts":
                preparation.write_into(path, self.model)
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = path.stat().st_size
            self._artifacts[name] = Artifact(path, digest, size, seconds, in_memory)
        return self._artifacts[name]
