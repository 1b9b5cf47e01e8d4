"""A model with its weights, its inputs, its references and its exported files."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import tasks
from ..backends.base import Backend
from ..backends.session import InProcessSession, Session
from ..errors import BackendFailed
from ..models import Model, weights
from ..models.state_digest import state_digest
from ..models.weights import WeightSource
from ..nested import concatenate, flatten, map_tensors
from ..settings import Settings
from ..tasks.agreement import Agreement, Reference, judge
from ..timing import roofline
from ..timing.protocol import stopwatch
from ..timing.roofline import Work
from . import eager_checks


@dataclass(frozen=True)
class Plan:
    """How a run prepares every model.

    weights: where the weights come from. batch_size: inputs per call. inputs: the minimum number of
    distinct inputs for the check. seed: of random weights and inputs. keep: the folder to keep the
    artifacts in; None for a temporary one that is emptied after each model.
    """

    settings: Settings
    weights: WeightSource
    batch_size: int = 1
    inputs: int = 8
    seed: int = 0
    keep: Path | None = None


@dataclass(frozen=True)
class Artifact:
    """An exported file. seconds: the time of the export."""

    path: Path
    sha256: str
    bytes: int
    seconds: float
    in_memory: Callable[[Tensor], Tensor] | None


class PreparedModel:
    """A model with its weights, inputs and references: everything that the backends share.

    module: in evaluation mode, on the run's device, in its dtype and layout. inputs: [n, ...]
    on the CPU, also in that dtype and layout; n is a multiple of the batch size. The reference is
    computed in float64 from the weights and inputs after rounding to that dtype. The reference and
    eager's answers are computed before any backend gets the module; otherwise a backend that
    changes the module would be compared with its own damage.
    """

    def __init__(self, model: Model, plan: Plan, folder: Path) -> None:
        self.model = model
        self.name = model.name
        self.task = tasks.find(model.task)
        self.plan = plan
        self._folder = folder
        self._artifacts: dict[str, Artifact] = {}
        self._spoiled = ""
        count = plan.batch_size * math.ceil(plan.inputs / plan.batch_size)
        inputs = model.batch(count, plan.seed)
        self._dtype = getattr(torch, plan.settings.dtype)
        self._layout = torch.channels_last if plan.settings.channels_last else torch.preserve_format
        self.inputs = inputs.to(self._dtype, memory_format=self._layout)
        self.module = self._build()
        self._state = state_digest(self.module)
        self._require_sound()
        self._float64 = self._predict_float64()
        self._references: dict[int, Reference] = {}
        self.reference(plan.batch_size)
        if state_digest(self.module) != self._state:
            raise BackendFailed(
                f"{self.name} changes its own state when it is called, so its calls cannot be "
                "compared; its forward must not change parameters, buffers or attributes"
            )
        self._work: Work | None = None
        self._work_counted = False

    def _require_sound(self) -> None:
        few = self.batches(eager_checks.INPUTS)[0], self.batches(1)[: eager_checks.INPUTS]
        eager_checks.require_sound(self.name, self.module, *few, self.plan.settings)

    def _build(self) -> nn.Module:
        torch.manual_seed(self.plan.seed)
        module = self.model.built()
        self.weights_digest = weights.apply(module, self.model, self.plan.weights, self.plan.seed)
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
        except Exception:
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

    def batches(self, batch_size: int) -> list[Tensor]:
        """The inputs in batches of `batch_size`."""
        return list(self.inputs.split(batch_size))

    def reference(self, batch_size: int) -> Reference:
        """The outputs of float64, and of eager in batches of `batch_size`, for all inputs."""
        if batch_size not in self._references:
            session = InProcessSession(self.module, self.plan.settings)
            eager = concatenate([session.predict(batch) for batch in self.batches(batch_size)])
            self._references[batch_size] = Reference.of(self._float64, eager)
        return self._references[batch_size]

    def judge(self, session: Session, batch_size: int) -> Agreement:
        """Judge the outputs of `session` for all inputs, in batches of `batch_size`."""
        outputs = [session.predict(batch) for batch in self.batches(batch_size)]
        return self.agreement(session, concatenate(outputs), self.reference(batch_size))

    def agreement(self, session: Session, output: Any, reference: Reference) -> Agreement:
        """Judge one output of `session` against `reference`."""
        if session.positional:
            found = list(flatten(output).values())
            if len(found) == len(reference.tensors):
                output = dict(zip(reference.tensors, found, strict=True))
        return judge(output, reference, self.task)

    def work(self) -> Work | None:
        """The work of one call at the run's batch size; None if it cannot be counted."""
        if not self._work_counted:
            self._work_counted = True
            # Some modules have tensors that cannot be replaced. Their latencies are still valid.
            with suppress(Exception):
                self._work = roofline.work(self.module, self.inputs[: self.plan.batch_size])
        return self._work

    def artifact(self, backend: Backend) -> Artifact | None:
        """The file that `backend` deploys, exported on first use; None if it deploys none."""
        if backend.format is None:
            return None
        name = backend.format.suffix
        if name not in self._artifacts:
            path = self._folder / f"{self.model.file_stem}.{name}"
            example = self.inputs[: self.plan.batch_size].to(self.plan.settings.device)
            in_memory, seconds = stopwatch(lambda: backend.export(self.module, example, path))
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = path.stat().st_size
            self._artifacts[name] = Artifact(path, digest, size, seconds, in_memory)
        return self._artifacts[name]

    def _predict_float64(self) -> Any:
        # Converted in place and back: float64 represents every number of the other dtypes exactly,
        # so the weights return unchanged, and no second copy of the model is needed.
        self.module.double()
        with torch.inference_mode():
            device = self.plan.settings.device
            outputs = [
                map_tensors(Tensor.cpu, self.module(rows.double().to(device)))
                for rows in self.inputs.split(8)
            ]
        self.module.to(self._dtype)
        return concatenate(outputs)
