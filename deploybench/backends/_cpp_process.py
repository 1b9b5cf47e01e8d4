"""The C++ process, for every backend that runs its artifact there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..batches import Batch
from ..errors import BackendFailed, BackendUnavailable
from ..installation import rebuild_line
from ..machine.idle import wait_until_idle
from .base import Backend
from .session import Session

if TYPE_CHECKING:
    from torch import nn

    from ..native.process import Runner
    from ..settings import Settings


class CppSession(Session):
    """A model loaded in the C++ process, which times its own calls in a tight loop."""

    clock = "synchronized_clock_of_own_process"

    def __init__(self, runner: Runner, positional: bool = False) -> None:
        self._runner = runner
        self.positional = positional

    def put(self, batch: Batch) -> None:
        """Send the bytes of `batch` to the process."""
        self._runner.put(batch)

    def run(self) -> None:
        """Call the model once, untimed."""
        self._runner.run(1)

    def timed(self, count: int, include_copies: bool = False) -> list[float]:
        """The seconds of each of `count` calls, by the process's own clock."""
        return self._runner.timed(count, "copies" if include_copies else "calls")

    def queued(self, count: int, include_copies: bool = False) -> float:
        """The total seconds of `count` calls, by the process's own clock."""
        return self._runner.queued(count, "copies" if include_copies else "calls")

    def device_timed(self, count: int) -> list[float]:
        """The seconds of each of `count` calls, between two CUDA events of the process."""
        return self._runner.device_timed(count)

    def rest(self) -> bool:
        """Wait until no thread of the process runs, and none of this one, which took the output."""
        return wait_until_idle() and self._runner.rest()

    def output(self) -> Any:
        """Fetch the output of the latest call: a tensor, or tensors by path."""
        outputs = self._runner.outputs()
        lone = len(outputs) == 1 and (self.positional or "" in outputs)
        return next(iter(outputs.values())) if lone else outputs

    def peak_device_bytes(self) -> int:
        """The peak of the process's bytes on the GPU since it began to load."""
        return self._runner.peak_device_bytes()

    def peak_resident_bytes(self) -> int | None:
        """The peak of the process's resident bytes since it started."""
        return self._runner.peak_resident_bytes()

    def close(self) -> None:
        """Unload the model, unless the process has died."""
        if self._runner.alive:
            self._runner.unload()


class InCppProcess(Backend):
    """One long-lived C++ process for a whole run; replaced by a fresh one if it dies.

    as_graph: on a GPU, if the program was built with CUDA's headers, the first call captures the
    model in a CUDA graph. runtime: what runs an ONNX file.
    """

    needs_python = False
    as_graph: ClassVar[bool] = False
    runtime: ClassVar[str] = "openvino"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._runner: Runner | None = None

    def require(self) -> None:
        """Build the C++ program if necessary."""
        from ..native.build import ensure_runner
        from ..native.operators import ensure_operators

        super().require()
        ensure_runner()
        with suppress(BackendUnavailable):  # few files need them; `load` finds out which
            ensure_operators()

    def load(self, module: nn.Module, artifact: Path | None) -> CppSession:
        """Load the file in the process.

        Raises BackendUnavailable if it needs operators of torchvision that cannot be had.
        """
        from ..native.operators import LIBRARY, ensure_operators

        assert artifact is not None
        runner = self._process()
        try:
            as_graph = self.as_graph and self.settings.on_cuda and runner.has_graphs
            runner.load(artifact, as_graph, self.runtime)
        except BackendFailed as error:
            if LIBRARY not in str(error):
                raise
            ensure_operators()  # it knows better than the process why there is no library
            raise BackendUnavailable(str(error)) from error
        assert self._format is not None
        return CppSession(runner, self._format.positional_outputs)

    def close(self) -> None:
        """End the process."""
        super().close()
        self._end_process()

    def _end_process(self) -> None:
        if self._runner is not None:
            self._runner.close()
            self._runner = None

    def require_graphs(self) -> None:
        """Raise BackendUnavailable if no CUDA graph can be captured."""
        import torch

        if not self.settings.on_cuda:
            raise BackendUnavailable(
                "a CUDA graph needs a GPU: run with --device cuda on a machine with one"
            )
        if not self._process().has_graphs:
            raise BackendUnavailable(
                "the C++ program was built without CUDA's headers and cannot capture graphs: "
                f"install the toolkit of CUDA {torch.version.cuda}, then {rebuild_line()}"
            )

    def _process(self) -> Runner:
        from ..native.build import ensure_runner
        from ..native.process import Runner

        if self._runner is None or not self._runner.alive:
            self._end_process()
            self._runner = Runner(ensure_runner(), self.settings)
        return self._runner
