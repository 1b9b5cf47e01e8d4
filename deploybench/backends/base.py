"""What a backend is: one way to deploy a model, from the module to a session that answers.

A backend is one file in this package. Its class says what it is called, which column it fills and
what it needs; it exports a module to an artifact and loads the artifact into a session. It knows
nothing of clocks, statistics or pytest. Importing a backend's file must not import torch: names
and titles are read for `--help` and for collecting tests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ..errors import Unsupported
from ..settings import DTYPES, Settings

if TYPE_CHECKING:
    from torch import Tensor, nn


class Session(ABC):
    """A loaded model with an input in place, ready to be called again and again.

    Inputs are tensors [batch, 3, size, size] on the CPU, normalised, of the run's dtype; outputs
    are logits [batch, classes] on the CPU, of that dtype too.
    """

    @abstractmethod
    def put(self, batch: Tensor) -> None:
        """Place `batch` on the device, where the calls that follow take it from."""

    @abstractmethod
    def run(self) -> None:
        """Call the model once on the input in place and keep the output on the device."""

    @abstractmethod
    def output(self) -> Tensor:
        """Fetch the logits of the latest call."""

    def predict(self, batch: Tensor) -> Tensor:
        """Place `batch`, call the model once and fetch its logits."""
        self.put(batch)
        self.run()
        return self.output()

    def peak_device_bytes(self) -> int | None:
        """The most bytes on the GPU since the load; None where this process's own are meant."""
        return None

    def peak_resident_bytes(self) -> int | None:
        """The most that the session's own process had resident; None where it has none."""
        return None

    def close(self) -> None:  # noqa: B027 - most sessions hold nothing that needs closing
        """Give back what the session holds."""


class SelfTimedSession(Session):
    """A session in another process, which times its own calls in a tight loop."""

    @abstractmethod
    def timed(self, count: int, include_copies: bool = False) -> list[float]:
        """Seconds of each of `count` calls, device synchronised at both ends of each.

        include_copies: with the input's way to the device and the output's way back.
        """

    @abstractmethod
    def queued(self, count: int, include_copies: bool = False) -> float:
        """Seconds of `count` calls in all, back to back with one synchronise at the end."""

    @abstractmethod
    def device_timed(self, count: int) -> list[float]:
        """Seconds of each of `count` calls between two CUDA events; none without CUDA."""


class InProcessSession(Session):
    """A session that calls `forward`, a function from a batch to logits, in this process."""

    def __init__(self, forward: Callable[[Tensor], Tensor], settings: Settings) -> None:
        self._forward = forward
        self._settings = settings
        self._batch: Tensor | None = None
        self._input: Tensor | None = None
        self._output: Tensor | None = None

    def put(self, batch: Tensor) -> None:
        """Place `batch` on the device."""
        self._batch = batch
        self._input = batch.to(self._settings.device)

    def run(self) -> None:
        """Call the model; enter `calling()` around a series of calls."""
        assert self._input is not None, "put() comes before run()"
        self._output = self._forward(self._input)

    def run_with_copies(self) -> None:
        """Place the batch anew, call the model once and fetch its logits."""
        assert self._batch is not None, "put() comes before run_with_copies()"
        self.put(self._batch)
        self.run()
        self.output()

    def output(self) -> Tensor:
        """Fetch the logits of the latest call."""
        assert self._output is not None, "run() comes before output()"
        return self._output.cpu()

    def predict(self, batch: Tensor) -> Tensor:
        """Place `batch`, call the model once and fetch its logits."""
        with self.calling():
            return super().predict(batch)

    def calling(self) -> AbstractContextManager[object]:
        """The grad mode of the run, entered once around a series of calls."""
        import torch

        return torch.inference_mode()

    @property
    def on_cuda(self) -> bool:
        """Whether the calls run on a GPU."""
        return self._settings.on_cuda

    def synchronize(self) -> None:
        """Wait until the device has done what the calls have queued.

        That is the current stream alone: what others do on the device is no part of a call, and a
        backend that left its work on another stream would give a wrong answer.
        """
        if self.on_cuda:
            import torch

            torch.cuda.current_stream(self._settings.device).synchronize()


class Backend(ABC):
    """One way to deploy a model. One instance serves a whole run.

    name: as in `--backends` and in test ids. title: of the table's column. order: the column's
    place from left to right. artifact_name: file name of what `export` writes, None where there is
    no file; backends that give the same name share one file, exported once per model. needs_python:
    whether its calls are made from Python. any_batch_size: whether an artifact takes inputs of
    other batch sizes than the example's. dtypes: those it can compute in.
    channels_last: whether that layout means anything to it. packages: those beyond
    requirements.txt that it runs on, by the names they are imported by: runs with other versions of
    them are not compared. allocates_through_torch: whether all
    that its programs take of a GPU comes from torch's allocator, the one that tells how much.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    order: ClassVar[int]
    artifact_name: ClassVar[str | None] = None
    needs_python: ClassVar[bool] = True
    any_batch_size: ClassVar[bool] = True
    dtypes: ClassVar[tuple[str, ...]] = DTYPES
    channels_last: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ()
    allocates_through_torch: ClassVar[bool] = True

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def require_supported(self) -> None:
        """Raise Unsupported where the run's settings are nothing that it can do."""
        if self.settings.dtype not in self.dtypes:
            raise Unsupported(
                f"{self.name} has no {self.settings.dtype}: run it with --dtype "
                f"{' or '.join(self.dtypes)}"
            )
        if self.settings.channels_last and not self.channels_last:
            raise Unsupported(
                f"{self.name} chooses its own layout in memory: run it without --channels-last"
            )

    def require(self) -> None:  # noqa: B027 - most backends need nothing special
        """Raise BackendUnavailable, with the command that mends it, where it cannot run."""

    def export(
        self, module: nn.Module, example: Tensor, path: Path
    ) -> Callable[[Tensor], Tensor] | None:
        """Write the artifact of `module`, which takes inputs like `example`, to `path`.

        Returns the exported program as it was in memory before it was saved, where there is one.
        Backends without an artifact are never asked.
        """
        raise NotImplementedError(f"{self.name} has no artifact")

    @abstractmethod
    def load(self, module: nn.Module, artifact: Path | None) -> Session:
        """Open a session on `artifact`, or on `module` itself for backends without an artifact."""

    def forget(self) -> None:  # noqa: B027 - most backends keep nothing of a model
        """Give back what is kept of a model, none of whose programs will be called again."""

    def close(self) -> None:  # noqa: B027 - most backends hold nothing between sessions
        """End what the backend keeps from one session to the next."""
