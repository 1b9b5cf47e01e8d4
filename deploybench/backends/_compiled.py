"""torch.compile, for all its modes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..batches import Batch, kinds
from ..formats.base import Origin
from ..formats.graph_layers import with_layers
from ..formats.inductor import PrivateCache, one_kind_of_error
from .base import Backend, Observed
from .session import InProcessSession

if TYPE_CHECKING:
    from torch import nn

    from ..settings import Settings


class CompiledSession(InProcessSession):
    """A session whose first call of each shape compiles."""

    _compiled_for: tuple[Any, ...] = ()
    _is_compiled = False

    def put(self, batch: Batch) -> None:
        """Place `batch` on the device; compile again here what another has dropped.

        torch keeps all compiled code in one place, which a strict torch.export empties. Without
        this, a timed call would compile, and without freezing.
        """
        super().put(batch)
        self._is_compiled = kinds(batch) == self._compiled_for
        if self._is_compiled and not self._is_kept():
            with self.calling():
                self._compile()

    def run(self) -> None:
        """Call the model once."""
        if self._is_compiled:
            super().run()
        else:
            self._compile()

    def _compile(self) -> None:
        import torch
        import torch._inductor.config
        from torch._dynamo.callback import callback_handler

        assert self._input is not None, "put() comes before run()"
        # As an option of torch.compile, it is read too late, and weights stay inputs.
        freezing = torch._inductor.config.patch(freezing=not self._settings.on_cuda)
        with freezing, one_kind_of_error():
            super().run()
        self._compiled_for = kinds(self._input)
        self._is_compiled = True
        if not self._is_kept():
            callback_handler.register_end_callback(self._kept)

    def _is_kept(self) -> bool:
        """Whether torch still has the code. What drops all code drops all callbacks with it."""
        from torch._dynamo.callback import callback_handler

        return self._kept in callback_handler.end_callbacks

    def _kept(self, *_: object) -> None:
        """Called each time that torch has compiled something; its place is what counts."""

    def close(self) -> None:
        """Drop the compiled code, which keeps the model's weights alive."""
        import torch

        torch._dynamo.reset()
        self._compiled_for, self._is_compiled = (), False


class InMode(Backend):
    """torch.compile in one mode; there is no artifact, since the first call compiles.

    On a CPU, weights are frozen, so that they are folded and laid out once.
    """

    mode: ClassVar[str]
    session: ClassVar[type[CompiledSession]] = CompiledSession
    one_program = False  # each shape is compiled by itself

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._cache: PrivateCache | None = None

    def require(self) -> None:
        """Find the compiler that Inductor needs on a CPU."""
        super().require()
        if not self.settings.on_cuda:
            from ..native.tools import find_compiler, require_loadable

            find_compiler()
            require_loadable()
        self._cache = self._cache or PrivateCache()

    def load(self, module: nn.Module, artifact: Path | None) -> CompiledSession:
        """Open a session whose first call compiles the module, with an empty cache."""
        import torch

        PrivateCache.empty()
        return self.session(torch.compile(module, mode=self.mode, dynamic=False), self.settings)

    def observed(self, origin: Origin, artifact: Path | None, folder: Path) -> Observed:
        """Compile the graph of torch.export, with the values of its layers as outputs."""
        import torch

        with one_kind_of_error(), torch.no_grad():
            graph, places = with_layers(torch.export.export(origin.module, origin.example))
        return Observed(self.load(graph, None), places)

    def forget(self) -> None:
        """Drop the compiled code of the model, which keeps its frozen weights alive."""
        super().forget()
        PrivateCache.empty()

    def close(self) -> None:
        """Remove the compiled code."""
        super().close()
        if self._cache is not None:
            self._cache.close()
            self._cache = None
