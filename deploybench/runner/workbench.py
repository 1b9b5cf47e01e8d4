"""Opens models through backends, one model at a time.

So a run over all models needs no more memory or disk space than its largest model.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from types import TracebackType

import torch

from .. import settings
from ..backends import registry
from ..backends.base import Backend
from ..errors import (
    BackendFailed,
    DeploybenchError,
    FileError,
    UsageError,
    first_line,
    release_frames,
)
from ..machine import allocator
from ..machine.notices import Notice
from ..models import Model, weights
from ..records import record as records
from ..temporary import TemporaryFolder
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
        try:
            if plan.keep:
                plan.keep.mkdir(parents=True, exist_ok=True)
            self._temporary = TemporaryFolder()
        except OSError as error:
            raise FileError(
                f"'{error.filename}': {error.strerror}; no folder for exported files can be made"
            ) from error
        self._backends: dict[str, Backend] = {}
        self._unusable: dict[str, DeploybenchError] = {}
        self.not_released: list[str] = []
        self._prepared: PreparedModel | None = None
        self._refused: dict[tuple[str, int], UsageError] = {}
        self._taken: dict[str, str] = {}

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
            name, backend = self._backends.popitem()
            self._release(name, backend.close)

    def close(self) -> None:
        """End every backend and remove the temporary folder; a backend that fails is noted."""
        self.abandon()
        self._temporary.close()

    def backend(self, name: str) -> Backend:
        """The run's instance of a backend.

        Raises BackendUnavailable if this machine cannot run it, and BackendFailed if it cannot find
        out; this is checked only once.
        """
        if name in self._unusable:
            raise self._unusable[name]
        if name not in self._backends:
            try:
                self._backends[name] = self._begun(name)
            except DeploybenchError as error:
                release_frames(error)
                self._unusable[name] = error
                raise
        return self._backends[name]

    def _begun(self, name: str) -> Backend:
        with one_line("", name):
            backend = registry()[name](self.plan.settings)
            try:
                backend.require_supported()
                backend.require()
            except BaseException:
                self._release(name, backend.close)
                raise
        return backend

    def _release(self, name: str, action: Callable[[], None]) -> bool:
        """Let a backend free what it keeps; an error is noted and returned as False.

        No case of its own is left that could fail, and those of other backends must not.
        """
        try:
            with one_line("", name):
                action()
        except DeploybenchError as error:
            self.not_released.append(str(error))
            return False
        return True

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
                self._prepared = PreparedModel(model, plan, self.plan.keep or self._temporary.path)
            except UsageError as error:
                release_frames(error)
                self._refused[model.name, plan.batch_size] = error
                raise
            if taken := self._prepared.weights_taken:
                self._taken[model.name] = taken
        assert self._prepared is not None
        return self._prepared

    def notices(self) -> list[Notice]:
        """What was taken of the files of weights that hold more than one model's state dict."""
        effect, remedy = (
            "the answers and figures are those of these weights",
            "check that you meant them",
        )
        return [Notice(taken, effect, remedy) for taken in self._taken.values()]

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
        opened = self.open(model, backend, batch_size)
        try:
            # Not all that a test of the caller's may raise is an error: pytest's skip is none.
            with one_line(model.name, backend, Exception):
                yield opened
        except BaseException:
            with suppress(DeploybenchError), one_line(model.name, backend):
                opened.close()
            raise
        with one_line(model.name, backend):
            opened.close()

    def open(
        self,
        model: Model,
        backend: str,
        batch_size: int | None = None,
        begins: Callable[[str, str], None] = lambda *_: None,
    ) -> OpenedCase:
        """Open `model` through `backend`; the caller closes it. Raises as `case` does.

        begins: told what is done next, in one of the words of progress.py, and by which backend.
        """
        chosen = self.backend(backend)
        with one_line(model.name, backend):
            return OpenedCase(self.prepared(model, batch_size), chosen, begins)

    def _forget_model(self) -> None:
        self._prepared = None
        for name, backend in list(self._backends.items()):
            if not self._release(name, backend.forget):
                # Of what it keeps, nothing is known any more: its next case begins with a new one.
                del self._backends[name]
                self._release(name, backend.close)
        self._temporary.empty()
        gc.collect()
        if self.plan.settings.on_cuda:
            # A model that ran out of memory must not take room from the next one.
            torch.cuda.empty_cache()
        allocator.release()


def recorded(notices: Iterable[Notice]) -> tuple[records.Notice, ...]:
    """The notices, for the record."""
    return tuple(records.Notice(**asdict(notice)) for notice in notices)


@contextmanager
def one_line(model: str, backend: str, kind: type[BaseException] = BaseException) -> Iterator[None]:
    """A context in which errors of libraries become a BackendFailed with one line.

    It catches anything but the user's or the system's wish to end, because an unforeseen error must
    not end the model's other backends. kind: what else it is limited to.
    """
    try:
        yield
    except (DeploybenchError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except kind as error:
        where = f"{model} through {backend}" if model else backend
        failed = BackendFailed(f"{where}: {first_line(error)}")
        release_frames(error)
    else:
        return
    raise failed
