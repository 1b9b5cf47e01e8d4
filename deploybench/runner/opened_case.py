"""A model opened through one backend: loaded, with an input in place, ready to check and time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from .. import batches
from ..backends.base import Backend
from ..backends.session import InProcessSession, Session
from ..errors import BackendFailed, WrongAnswer, first_line, release_frames
from ..machine import allocator, cpus
from ..records.reduced import Reduced
from ..tasks.agreement import Agreement
from ..timing.interleaving import Timing
from ..timing.memory import DeviceMemory, resident_bytes
from ..timing.protocol import Protocol, stopwatch
from . import cold_start
from .cold_start import ColdStart
from .neighbours import BesideNeighbours, Neighbours
from .prepared_model import PreparedModel
from .progress import EXPORTING, LOADING

# How a file says that it takes the batch size of its export alone, or that there is no room for
# more: in a library's words, so by the kind of the error.
REFUSALS = (RuntimeError, ValueError, IndexError, AssertionError, MemoryError, BackendFailed)


class OpenedCase:
    """A prepared model opened through one backend, with an input of the run's batch size in place.

    load_seconds: the time to load it. first_calls_seconds: of its first two calls. memory_bytes:
    the growth of the resident memory of this process and its children meanwhile; None if
    it cannot be read.
    begins: told what is done next, in one of the words of progress.py, and by which backend.
    device_memory_bytes: its peak on the GPU meanwhile, including weights; None on a CPU, and if
    torch does not allocate it. reduced: the verdict of the last check on a backend of reduced
    precision; None for others.
    """

    def __init__(
        self,
        prepared: PreparedModel,
        backend: Backend,
        begins: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        self.prepared = prepared
        self.backend = backend
        self._session: Session | None = None
        self._neighbours: Neighbours | None = None
        self.reduced: Reduced | None = None
        try:
            with prepared.lent_to(backend.name):
                self._open(begins)
        except BaseException:
            with suppress(Exception):  # the first error says more
                self.close()
            raise

    @property
    def session(self) -> Session:
        """The session, until the case is closed."""
        assert self._session is not None, "the case is closed"
        return self._session

    def close(self) -> None:
        """Close the session, if one was opened, and end the neighbours."""
        neighbours, self._neighbours = self._neighbours, None
        if neighbours is not None:
            neighbours.close()
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _open(self, begins: Callable[[str, str], None]) -> None:
        prepared, backend, plan = self.prepared, self.backend, self.prepared.plan
        if backend.format is not None:
            begins(EXPORTING, backend.name)
        self.artifact = prepared.artifact(backend)
        path = self.artifact.path if self.artifact else None
        begins(LOADING, backend.name)
        device_memory = DeviceMemory(plan.settings)
        allocator.release()  # what the export has freed would hide what the load takes
        before = resident_bytes()
        # A runtime with threads of its own starts them here, and OpenMP may have bound this one.
        with cpus.released():
            self._session, self.load_seconds = stopwatch(
                lambda: backend.load(prepared.module, path)
            )
            self.session.put(prepared.example())
            self.first_calls_seconds = self.session.timed(2)
        self.calls_made = 2
        after = resident_bytes()
        self.memory_bytes = None
        if before is not None and after is not None:
            self.memory_bytes = max(0, after - before)
        shared = None if self.artifact else prepared.module
        known = backend.allocates_through_torch
        self.device_memory_bytes = device_memory.peak(self.session, shared) if known else None

    def check(self, batch_size: int) -> Agreement:
        """Judge the session's answers to all the model's inputs, in batches of `batch_size`.

        What takes any batch size is also judged with all inputs in one batch: a batch of one cannot
        show that the rows of a batch are mixed up. A session that refuses so many, and answers its
        own batch size as before, is judged by that alone. Raises BackendFailed for any other error.
        """
        self.calls_made += batches.size(self.prepared.inputs) // batch_size
        with self.prepared.lent_to(self.backend.name):
            return self._judged(self.session, batch_size)

    def _judged(self, session: Session, batch_size: int) -> Agreement:
        if self.backend.precision is not None:
            reduced = self.prepared.reduced_precision
            agreement, found = reduced.check(session, self.backend)
            self.reduced = None
            if found is not None:
                self.reduced = reduced.record(found, self.backend, self.artifact)
            return agreement
        agreement = self.prepared.judge(session, batch_size)
        count = batches.size(self.prepared.inputs)
        if not (agreement.agrees and self.backend.any_batch_size and self.backend.one_program):
            return agreement
        if count == batch_size:
            return agreement
        together = f"with all {count} inputs in one batch"
        try:
            self.prepared.reference(count)  # there may be no room for it either
            outputs = self.prepared.outputs(session, count)
        except Exception as error:
            reason = f"{together}: {first_line(error)}"
            release_frames(error)
            if isinstance(error, REFUSALS) and self._still_answers(session, batch_size):
                return agreement
            raise BackendFailed(reason) from error
        whole = self.prepared.judge_outputs(session, outputs, count)
        self.calls_made += 1
        return whole if whole.agrees else replace(whole, reason=f"{together}: {whole.reason}")

    def _still_answers(self, session: Session, batch_size: int) -> bool:
        """Whether the first batch still gets the right answer."""
        try:
            output = session.predict(self.prepared.batches(batch_size)[0])
        except Exception as error:
            release_frames(error)
            return False
        return self.prepared.judge_rows(session, output, batch_size, slice(batch_size)).agrees

    def check_before_save(self, batch_size: int) -> Agreement | None:
        """Judge the exported program as it was in memory; None if there was none."""
        if self.artifact is None or self.artifact.in_memory is None:
            return None
        judged = self.artifact.judged
        if batch_size not in judged:
            session = InProcessSession(self.artifact.in_memory, self.prepared.plan.settings)
            with self.prepared.lent_to(self.backend.name):
                judged[batch_size] = self._judged(session, batch_size)
        return judged[batch_size]

    def cold_start(self) -> ColdStart:
        """Measure a fresh process, from its start to its first answer."""
        prepared, path = self.prepared, self.artifact.path if self.artifact else None
        return cold_start.start(
            self.backend, prepared.model, prepared.module, path, prepared.example()
        )

    def timing(self, protocol: Protocol) -> Timing:
        """The timing of the session; a timed call whose output disagrees ends it by WrongAnswer."""
        size = self.prepared.plan.batch_size

        def require_agreement(number: int, output: Any) -> None:
            if self.reduced is not None:
                reduced = self.prepared.reduced_precision
                if changed := reduced.require_same(self.backend, output, number):
                    raise WrongAnswer(f"different in a timed call: {changed}")
                return
            rows = slice(number * size, (number + 1) * size)
            agreement = self.prepared.judge_rows(self.session, output, size, rows)
            if not agreement.agrees:
                raise WrongAnswer(f"different in a timed call: {agreement.reason}")

        batches = self.prepared.batches(size)
        session = self._beside_neighbours(protocol) if protocol.neighbours > 1 else self.session
        return Timing(session, batches, protocol, require_agreement, self.calls_made)

    def _beside_neighbours(self, protocol: Protocol) -> Session:
        """The session among neighbours, whose processes start when they are first needed."""
        prepared, path = self.prepared, self.artifact.path if self.artifact else None
        if self._neighbours is None:
            self._neighbours = Neighbours(
                *(protocol.neighbours - 1, self.backend, prepared.model, prepared.module, path),
                *(prepared.example(), protocol.include_copies),
            )
        return BesideNeighbours(self.session, self._neighbours)
