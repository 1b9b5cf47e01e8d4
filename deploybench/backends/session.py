"""A session: a loaded model with an input in place, which times its own calls.

The same methods serve models in this process and in another one. Every session times a call in the
same way: synchronise with the device, read the clock, call, synchronise, read the clock.
"""

from __future__ import annotations

import gc
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from time import perf_counter
from typing import Any, ClassVar

from .. import settings
from ..batches import Batch, to_device
from ..machine.idle import wait_until_idle
from ..nested import map_tensors
from ..settings import Settings


class Session(ABC):
    """A loaded model with an input in place, ready to be called again and again.

    A batch has the model's arguments: tensors with a leading batch dimension on the CPU, those of
    floating point in the run's dtype; images are [batch, channels, height, width], normalised.
    Outputs are those of the model, a tensor or any
    nesting of tuples, lists and dicts of tensors, on the CPU.

    clock: the name of the clock that times the calls, for the saved run. positional: whether
    outputs are only ordered, without the nesting and names that the module gives them.
    """

    clock: ClassVar[str]
    positional: bool = False

    @abstractmethod
    def put(self, batch: Batch) -> None:
        """Place `batch` on the device as the input of the following calls."""

    @abstractmethod
    def run(self) -> None:
        """Call the model once on the input in place and keep the output on the device."""

    @abstractmethod
    def output(self) -> Any:
        """Fetch the output of the latest call."""

    @abstractmethod
    def timed(self, count: int, include_copies: bool = False) -> list[float]:
        """Call the model `count` times; the seconds of each, with the device synchronised.

        include_copies: include the transfer of the inputs to the device and of the outputs back.
        """

    @abstractmethod
    def queued(self, count: int, include_copies: bool = False) -> float:
        """Call the model `count` times and synchronise once at the end; the total seconds."""

    @abstractmethod
    def device_timed(self, count: int) -> list[float]:
        """The seconds of each of `count` calls between two CUDA events; empty without CUDA."""

    @abstractmethod
    def rest(self) -> bool:
        """Wait until no other thread of the session's process runs, so that none slows others.

        Returns whether that came within half a second; some threads may always run.
        """

    def predict(self, batch: Batch) -> Any:
        """Place `batch`, call the model once and fetch its output."""
        self.put(batch)
        self.run()
        return self.output()

    def peak_device_bytes(self) -> int | None:
        """The peak bytes on the GPU since the load; None if the session uses this process."""
        return None

    def peak_resident_bytes(self) -> int | None:
        """The peak resident bytes of the session's own process; None if it has none."""
        return None

    def neighbours(self) -> list[float]:
        """The median seconds of the calls that each neighbour made beside those that were timed.

        Since this was last asked; empty without neighbours.
        """
        return []

    def close(self) -> None:  # noqa: B027 - most sessions have nothing to close
        """Free everything that the session keeps."""


class InProcessSession(Session):
    """A session that calls `forward`, a function from the batch's tensors, in this process."""

    clock = "synchronized_perf_counter"

    def __init__(
        self,
        forward: Callable[..., Any],
        run_settings: Settings,
        *,
        positional: bool = False,
    ) -> None:
        self.positional = positional
        self._forward = forward
        self._settings = run_settings
        self._batch: Batch | None = None
        self._input: Batch | None = None
        self._output: Any = None

    def put(self, batch: Batch) -> None:
        """Place `batch` on the device."""
        self._batch = batch
        self._input = to_device(batch, self._settings.device)

    def run(self) -> None:
        """Call the model; enter `calling()` around a series of calls."""
        assert self._input is not None, "put() comes before run()"
        self._output = self._forward(*self._input)

    def output(self) -> Any:
        """Fetch the output of the latest call."""
        assert self._output is not None, "run() comes before output()"
        return map_tensors(lambda tensor: tensor.cpu(), self._output)

    def predict(self, batch: Batch) -> Any:
        """Place `batch`, call the model once and fetch its output."""
        with self.calling():
            return super().predict(batch)

    def timed(self, count: int, include_copies: bool = False) -> list[float]:
        """The seconds of each of `count` calls, by this process's clock."""
        call = self._run_with_copies if include_copies else self.run
        samples = []
        with self.calling(), _no_garbage_collection():
            for _ in range(count):
                self.synchronize()
                start = perf_counter()
                call()
                self.synchronize()
                samples.append(perf_counter() - start)
        return samples

    def queued(self, count: int, include_copies: bool = False) -> float:
        """The total seconds of `count` calls, by this process's clock."""
        call = self._run_with_copies if include_copies else self.run
        with self.calling(), _no_garbage_collection():
            self.synchronize()
            start = perf_counter()
            for _ in range(count):
                call()
            self.synchronize()
            return perf_counter() - start

    def device_timed(self, count: int) -> list[float]:
        """The seconds of each of `count` calls between two CUDA events; empty on a CPU."""
        if not self._settings.on_cuda:
            return []
        import torch

        samples = []
        with self.calling():
            for _ in range(count):
                start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                start.record()
                self.run()
                end.record()
                self.synchronize()
                samples.append(start.elapsed_time(end) / 1e3)
        return samples

    def rest(self) -> bool:
        """Wait until no other thread of this process runs."""
        return wait_until_idle()

    def _run_with_copies(self) -> None:
        assert self._batch is not None, "put() comes before a call with copies"
        self.put(self._batch)
        self.run()
        self.output()

    def calling(self) -> AbstractContextManager[object]:
        """The grad mode of the run, entered once around a series of calls."""
        return settings.calling(self._settings)

    def synchronize(self) -> None:
        """Wait until the device has finished the queued calls.

        It waits only for the current stream: other work on the device is not part of a call, and a
        backend that left its work on another stream would give a wrong answer.
        """
        if self._settings.on_cuda:
            import torch

            torch.cuda.current_stream(self._settings.device).synchronize()


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
