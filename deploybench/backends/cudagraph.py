"""The PyTorch module, captured once in a CUDA graph and replayed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..batches import Batch, kinds, to_device
from ..errors import BackendUnavailable
from .base import Backend
from .session import InProcessSession

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ..settings import Settings

WARM_UP_CALLS = 3


class GraphSession(InProcessSession):
    """A session with fixed memory for inputs and outputs, which the graph reads and writes."""

    def __init__(self, module: nn.Module, settings: Settings) -> None:
        super().__init__(module, settings)
        self._graph: torch.cuda.CUDAGraph | None = None

    def put(self, batch: Batch) -> None:
        """Copy `batch` to the graph's inputs; a batch of other shapes needs another graph."""
        self._batch = batch
        with self.calling():
            if self._input is None or kinds(self._input) != kinds(batch):
                self._graph = None
                self._input = to_device(batch, self._settings.device, copy=True)
            else:
                for place, each in zip(self._input, batch, strict=True):
                    place.copy_(each)

    def run(self) -> None:
        """Replay the graph; the first call captures it, so the capture counts as that call."""
        if self._graph is None:
            self._graph = self._capture()
        self._graph.replay()

    def _capture(self) -> torch.cuda.CUDAGraph:
        import torch

        assert self._input is not None, "put() comes before run()"
        graph = torch.cuda.CUDAGraph()
        with self.calling():
            side = torch.cuda.Stream(self._settings.device)
            side.wait_stream(torch.cuda.current_stream(self._settings.device))
            with torch.cuda.stream(side):
                for _ in range(WARM_UP_CALLS):
                    self._forward(*self._input)
            torch.cuda.current_stream(self._settings.device).wait_stream(side)
            with torch.cuda.graph(graph):
                self._output = self._forward(*self._input)
        return graph


class CudaGraph(Backend):
    """For GPUs only."""

    name = "cudagraph"
    title = "CUDA graph"
    order = 90
    one_program = False  # each shape is captured by itself

    def require(self) -> None:
        """Require a GPU."""
        if not self.settings.on_cuda:
            raise BackendUnavailable(
                "a CUDA graph needs a GPU: run with --device cuda on a machine with one"
            )

    def load(self, module: nn.Module, artifact: Path | None) -> GraphSession:
        """Open a session that captures the module in its first call."""
        return GraphSession(module, self.settings)
