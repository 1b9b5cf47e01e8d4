"""Opens models through backends, one model at a time.

So a run over all models needs no more memory or disk space than its largest model.
"""

from __future__ import annotations

import gc
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import torch

from .. import settings
from ..backends import registry
from ..backends.base import Backend
from ..errors import (
    BackendFailed,
    BackendUnavailable,
    DeploybenchError,
    UsageError,
    first_line,
    release_frames,
)
from ..machine import allocator
from ..models import Model, weights
from .opened_case import OpenedCase
from .prepared_model import Plan, PreparedModel


class Workbench:
    """Opens models through backends; keeps one prepared model and one instance of each backend.

    In all methods, a batch size of None means the plan's.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        settings.apply(plan.settings)
        # Imported modules stay, so the collection after each model need not scan them.
        gc.freeze()
        self._temporary = Path(tempfile.mkdtemp(prefix="deploybench-"))
        if plan.keep:
            plan.keep.mkdir(parents=True, exist_ok=True)
        self._backends: dict[str, Backend] = {}
        self._unavailable: dict[str, BackendUnavailable] = {}
        self._prepared: PreparedModel | None = None
        self._refused: dict[tuple[str, int], UsageError] = {}

    def __enter__(self) -> Workbench:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def release(self) -> None:
        """Let go of the prepared model and its files; the next one is prepared as usual."""
        self._forget_model()

    def abandon(self) -> None:
        """End every backend, whatever it is doing; the next case starts it anew."""
        self._forget_model()
        while self._backends:
            self._backends.popitem()[1].close()

    def close(self) -> None:
        """End every backend and remove the temporary folder."""
        self.abandon()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def backend(self, name: str) -> Backend:
        """The run's instance of a backend.

        Raises BackendUnavailable if this machine cannot run it; this is checked only once.
        """
        if name in self._unavailable:
            raise self._unavailable[name]
        if name not in self._backends:
            backend = registry()[name](self.plan.settings)
            try:
                backend.require_supported()
                backend.require()
            except BackendUnavailable as error:
                backend.close()
                release_frames(error)
                self._unavailable[name] = error
                raise
            self._backends[name] = backend
        return self._backends[name]

    def prepared(self, model: Model, batch_size: int | None = None) -> PreparedModel:
        """The model prepared for that batch size; the previous one is released.

        Raises UsageError for a model that cannot be measured; this is checked only once.
        """
        plan = replace(self.plan, batch_size=batch_size or self.plan.batch_size)
        if refused := self._refused.get((model.name, plan.batch_size)):
            raise refused
        held = self._prepared
        if held is None or (held.model, held.plan.batch_size) != (model, plan.batch_size):
            self._forget_model()
            try:
                self._prepared = PreparedModel(model, plan, self.plan.keep or self._temporary)
            except UsageError as error:
                release_frames(error)
                self._refused[model.name, plan.batch_size] = error
                raise
        assert self._prepared is not None
        return self._prepared

    def weights_digest(self, model: Model, batch_size: int | None = None) -> str | None:
        """The digest of the user's state dict for the model; None for other weights."""
        chosen = weights.of_model(model, self.plan.weights)
        if chosen is None or chosen.path is None:
            return None
        return self.prepared(model, batch_size).weights_digest

    @contextmanager
    def case(
        self, model: Model, backend: str, batch_size: int | None = None
    ) -> Iterator[OpenedCase]:
        """Open `model` through `backend`.

        Errors of the backend's libraries become a BackendFailed with one line.
        """
        chosen = self.backend(backend)
        opened = None
        with one_line(model.name, backend):
            try:
                opened = OpenedCase(self.prepared(model, batch_size), chosen)
                yield opened
            finally:
                if opened is not None:
                    opened.close()

    def _forget_model(self) -> None:
        self._prepared = None
        gc.collect()
        if self.plan.settings.on_cuda:
            # A model that ran out of memory must not take room from the next one.
            torch.cuda.empty_cache()
        for backend in self._backends.values():
            backend.forget()
        for leftover in self._temporary.iterdir():
            leftover.unlink()
        allocator.release()


@contextmanager
def one_line(model: str, backend: str) -> Iterator[None]:
    """A context in which errors of libraries become a BackendFailed with one line.

    It catches any Exception, because an unforeseen error must not end the model's other backends.
    """
    try:
        yield
    except DeploybenchError:
        raise
    except Exception as error:
        failed = BackendFailed(f"{model} through {backend}: {first_line(error)}")
        release_frames(error)
    else:
        return
    raise failed
