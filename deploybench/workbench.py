"""One model after another, each brought from its name to sessions whose answers can be judged.

A subject is a model with its weights, its inputs and its reference; a case is a subject opened
through one backend. The workbench keeps one subject at a time, so that a run over all models needs
no more memory or disk than its largest model does.
"""

from __future__ import annotations

import gc
import hashlib
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor

from . import allocator, catalog, cold_start, inputs, roofline, settings, weights
from .agreement import Agreement, Reference, judge
from .backends import registry
from .backends.base import Backend, InProcessSession, Session
from .cold_start import ColdStart
from .errors import BackendFailed, DeploybenchError, WrongAnswer
from .measure import Protocol, Timing, stopwatch, timed_calls
from .memory import DeviceMemory, resident_bytes
from .roofline import Work
from .settings import Settings


@dataclass(frozen=True)
class Plan:
    """What a run does with every model.

    weights: where the weights come from. batch_size: inputs per call. inputs: distinct inputs to
    check with, at the least. seed: of random weights and inputs. keep: a folder to leave the
    artifacts in; None: a temporary one, emptied after each model.
    """

    settings: Settings
    weights: weights.WeightSource
    batch_size: int = 1
    inputs: int = 8
    seed: int = 0
    keep: Path | None = None


@dataclass(frozen=True)
class Artifact:
    """A file that a backend exported. seconds: what the export took."""

    path: Path
    sha256: str
    bytes: int
    seconds: float
    in_memory: Callable[[Tensor], Tensor] | None


class Subject:
    """One model, with everything that the backends share.

    module: in evaluation mode, on the run's device, in its dtype and layout. images: [inputs, 3,
    size, size] on the CPU, in that dtype and layout too; their number is a multiple of the batch
    size. The reference is what float64 makes of the weights and images that the dtype has left.
    """

    def __init__(self, name: str, plan: Plan, folder: Path) -> None:
        self.name = name
        self.plan = plan
        self._folder = folder
        self._artifacts: dict[str, Artifact] = {}
        count = plan.batch_size * math.ceil(plan.inputs / plan.batch_size)
        images = inputs.batch(catalog.input_size(name), count, plan.seed)
        module = catalog.build(name)
        weights.apply(module, name, plan.weights, plan.seed)
        self._dtype = getattr(torch, plan.settings.dtype)
        layout = torch.channels_last if plan.settings.channels_last else torch.preserve_format
        self.images = images.to(self._dtype, memory_format=layout)
        self.module = module.to(plan.settings.device, self._dtype).to(memory_format=layout)
        self._float64 = self._predict_float64()
        self._references: dict[int, Reference] = {}
        self._work: Work | None = None

    def batches(self, batch_size: int) -> list[Tensor]:
        """The images in batches of `batch_size`."""
        return list(self.images.split(batch_size))

    def reference(self, batch_size: int) -> Reference:
        """What the logits of all images are, by float64 and by eager in batches of `batch_size`."""
        if batch_size not in self._references:
            session = InProcessSession(self.module, self.plan.settings)
            eager = torch.cat([session.predict(batch) for batch in self.batches(batch_size)])
            self._references[batch_size] = Reference.of(self._float64, eager)
        return self._references[batch_size]

    def judge(self, session: Session, batch_size: int) -> Agreement:
        """Judge what `session` answers to all images, in batches of `batch_size`."""
        outputs = [session.predict(batch) for batch in self.batches(batch_size)]
        return judge(torch.cat(outputs), self.reference(batch_size))

    def work(self) -> Work:
        """What one call of the run's batch size has to do."""
        if self._work is None:
            self._work = roofline.work(self.module, self.images[: self.plan.batch_size])
        return self._work

    def artifact(self, backend: Backend) -> Artifact | None:
        """The file that `backend` deploys, exported on first use; None if it deploys none."""
        name = backend.artifact_name
        if name is None:
            return None
        if name not in self._artifacts:
            path = self._folder / f"{self.name}.{name}"
            example = self.images[: self.plan.batch_size].to(self.plan.settings.device)
            in_memory, seconds = stopwatch(lambda: backend.export(self.module, example, path))
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = path.stat().st_size
            self._artifacts[name] = Artifact(path, digest, size, seconds, in_memory)
        return self._artifacts[name]

    def _predict_float64(self) -> Tensor:
        # There and back in place: float64 holds every number of the other dtypes, so the weights
        # return unchanged, and no second copy of the model is needed.
        self.module.double()
        with torch.inference_mode():
            device = self.plan.settings.device
            logits = [self.module(row.double().to(device)).cpu() for row in self.images.split(8)]
        self.module.to(self._dtype)
        return torch.cat(logits)


class Case:
    """A subject opened through one backend, with an input of the run's batch size in place.

    load_seconds: to load it. first_calls_seconds: of its first two calls. memory_bytes: by how much
    the resident memory of this process and its children grew meanwhile. device_memory_bytes: the
    most that it had on the GPU meanwhile, weights and all; None on a CPU, and where torch does not
    allocate it.
    """

    def __init__(self, subject: Subject, backend: Backend) -> None:
        plan = subject.plan
        self.subject = subject
        self.backend = backend
        self.artifact = subject.artifact(backend)
        path = self.artifact.path if self.artifact else None
        device_memory = DeviceMemory(plan.settings)
        before = resident_bytes()
        self.session: Session
        self.session, self.load_seconds = stopwatch(lambda: backend.load(subject.module, path))
        self.session.put(subject.images[: plan.batch_size])
        self.first_calls_seconds = timed_calls(self.session, 2)
        self.calls_made = 2
        self.memory_bytes = max(0, resident_bytes() - before)
        shared = None if self.artifact else subject.module
        told = backend.allocates_through_torch
        self.device_memory_bytes = device_memory.peak(self.session, shared) if told else None

    def check(self, batch_size: int) -> Agreement:
        """Judge the session's answers to all the subject's images, in batches of `batch_size`."""
        self.calls_made += len(self.subject.images) // batch_size
        return self.subject.judge(self.session, batch_size)

    def check_before_save(self, batch_size: int) -> Agreement | None:
        """Judge the exported program as it was in memory; None where there was none."""
        if self.artifact is None or self.artifact.in_memory is None:
            return None
        session = InProcessSession(self.artifact.in_memory, self.subject.plan.settings)
        return self.subject.judge(session, batch_size)

    def cold_start(self) -> ColdStart:
        """A fresh process, from its start to its first answer."""
        subject, path = self.subject, self.artifact.path if self.artifact else None
        batch = subject.images[: subject.plan.batch_size]
        return cold_start.start(self.backend, subject.name, subject.module, path, batch)

    def timing(self, protocol: Protocol) -> Timing:
        """The session, to be timed; WrongAnswer ends it when a timed call's output disagrees."""
        size = self.subject.plan.batch_size

        def require_agreement(number: int, output: Tensor) -> None:
            rows = slice(number * size, (number + 1) * size)
            agreement = judge(output, self.subject.reference(size).rows(rows))
            if not agreement.agrees:
                raise WrongAnswer(f"different in a timed call: {agreement.reason}")

        batches = self.subject.batches(size)
        return Timing(self.session, batches, protocol, require_agreement, self.calls_made)


class Workbench:
    """Opens cases by model and backend name; keeps one subject and one instance per backend.

    A batch size of None, here and there, is the plan's.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        settings.apply(plan.settings)
        # What was imported stays; the collection after each model need not look through it again.
        gc.freeze()
        self._temporary = Path(tempfile.mkdtemp(prefix="deploybench-"))
        if plan.keep:
            plan.keep.mkdir(parents=True, exist_ok=True)
        self._backends: dict[str, Backend] = {}
        self._subject: Subject | None = None

    def __enter__(self) -> Workbench:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every backend and remove the temporary folder."""
        self._forget_subject()
        for backend in self._backends.values():
            backend.close()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def backend(self, name: str) -> Backend:
        """The run's instance of a backend.

        Raises BackendUnavailable when this machine cannot run it.
        """
        if name not in self._backends:
            backend = registry()[name](self.plan.settings)
            backend.require_supported()
            backend.require()
            self._backends[name] = backend
        return self._backends[name]

    def subject(self, model: str, batch_size: int | None = None) -> Subject:
        """The subject of that name and batch size; the one before it is forgotten."""
        plan = replace(self.plan, batch_size=batch_size or self.plan.batch_size)
        held = self._subject
        if held is None or (held.name, held.plan.batch_size) != (model, plan.batch_size):
            self._forget_subject()
            self._subject = Subject(model, plan, self.plan.keep or self._temporary)
        assert self._subject is not None
        return self._subject

    @contextmanager
    def case(self, model: str, backend: str, batch_size: int | None = None) -> Iterator[Case]:
        """Open `model` through `backend`.

        What a backend's own libraries raise becomes a BackendFailed of one line.
        """
        chosen = self.backend(backend)
        opened = None
        with one_line(model, backend):
            try:
                opened = Case(self.subject(model, batch_size), chosen)
                yield opened
            finally:
                if opened is not None:
                    opened.session.close()

    def _forget_subject(self) -> None:
        self._subject = None
        gc.collect()
        if self.plan.settings.on_cuda:
            # What ran out of memory must leave room for the next.
            torch.cuda.empty_cache()
        for backend in self._backends.values():
            backend.forget()
        for leftover in self._temporary.iterdir():
            leftover.unlink()
        allocator.release()


@contextmanager
def one_line(model: str, backend: str) -> Iterator[None]:
    """Within it, what the libraries raise becomes a BackendFailed of one line."""
    try:
        yield
    except DeploybenchError:
        raise
    except (RuntimeError, OSError, MemoryError) as error:
        raise BackendFailed(f"{model} through {backend}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
