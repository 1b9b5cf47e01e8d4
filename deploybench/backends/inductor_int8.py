"""Inductor in int8: the exported graph, quantised and calibrated, and compiled by torch.compile."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..batches import Batch
from ..errors import BackendUnavailable
from ..formats.base import Origin
from ..formats.exported_int8 import ExportedInt8Program, load_quantised
from ..formats.inductor import one_kind_of_error
from ..formats.pt2e import layers, silence, with_rounded_layers
from ..settings import Settings
from ._compiled import CompiledSession, InMode
from .base import Observed, ReducedWork

if TYPE_CHECKING:
    from torch import nn

CALLS = 3
"""Of the profile."""
IN_INT8 = ("onednn::qconv", "onednn::qlinear")
"""How the names of the kernels begin that multiply in int8."""


class QuietSession(CompiledSession):
    """A session that compiles without the warnings of Inductor's int8 kernels about themselves."""

    def _compile(self) -> None:
        with silence():
            super()._compile()


class InductorInt8(InMode):
    """Frozen: otherwise Inductor computes every layer in float32, without a word.

    A file is for one batch size, as with the other files of torch.export.
    """

    name = "inductor-int8"
    title = "Inductor (int8)"
    order = 85
    format = ExportedInt8Program
    mode = "default"
    session = QuietSession
    one_program = True
    dtypes = ("float32",)
    precision = "int8"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._sessions: dict[Path, CompiledSession] = {}

    def require(self) -> None:
        """Require the packages, a compiler and an x86 processor."""
        if self.settings.on_cuda:
            raise BackendUnavailable(f"{self.name} runs only on CPUs here: run with --device cpu")
        if (kind := platform.machine()) not in ("x86_64", "AMD64"):
            raise BackendUnavailable(
                f"{self.name} runs only on x86 processors, and this one is {kind}: "
                "use onnxruntime-int8 or openvino-int8"
            )
        super().require()

    def load(self, module: nn.Module, artifact: Path | None) -> CompiledSession:
        """Open a session whose first call compiles the graph in the file."""
        assert artifact is not None
        session = super().load(load_quantised(artifact).module(), None)
        self._sessions[artifact] = session
        return session

    def observed(self, origin: Origin, artifact: Path | None, folder: Path) -> Observed:
        """Compile the graph in the file, with the values of its layers, as rounded, as outputs."""
        import torch

        assert artifact is not None
        with one_kind_of_error(), silence(), torch.no_grad():
            program = load_quantised(artifact)
            graph, places = with_rounded_layers(program, origin.module, origin.example)
        return Observed(super().load(graph, None), places)

    def reduced_work(self, artifact: Path, example: Batch) -> ReducedWork | None:
        """The kernels of a profile of the compiled graph; of the session, if the file is loaded."""
        import torch
        from torch.autograd import profiler_legacy  # the newer one writes to standard error

        session = self._sessions.get(artifact) or self.load(torch.nn.Module(), artifact)
        session.predict(example)
        with profiler_legacy.profile() as profile:
            seconds = sum(session.timed(CALLS))
        return work_of(profile.function_events, layers(load_quantised(artifact)), seconds)

    def forget(self) -> None:
        """Forget the sessions, which keep the model's weights."""
        super().forget()
        self._sessions.clear()


def work_of(events: Iterable[Any], layers: int, seconds: float) -> ReducedWork:
    """How much is in int8, by the events of a profile of CALLS calls, which took `seconds`.

    layers: how many the graph has; one without a kernel in int8 is not always an event by itself.
    """
    found = [event for event in events if event.name.startswith(IN_INT8)]
    spent = sum(event.cpu_time_total for event in found) / 1e6
    return ReducedWork(layers, len(found) // CALLS, spent / seconds if seconds else None)
