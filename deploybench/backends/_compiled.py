"""torch.compile, for every mode of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ._inductor import PrivateCache, one_kind_of_error
from .base import Backend, InProcessSession

if TYPE_CHECKING:
    from torch import nn

    from ..settings import Settings


class CompiledSession(InProcessSession):
    """A session whose first call compiles."""

    def run(self) -> None:
        """Call the model once."""
        with one_kind_of_error():
            super().run()

    def close(self) -> None:
        """Forget what was compiled: it holds the model's weights."""
        import torch

        torch._dynamo.reset()


class InMode(Backend):
    """torch.compile in one mode; there is no artifact, the first call compiles.

    On a CPU weights are frozen, so that they are folded and laid out once.
    """

    mode: ClassVar[str]

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._cache: PrivateCache | None = None

    def require(self) -> None:
        """Find the compiler that Inductor needs on a CPU."""
        if not self.settings.on_cuda:
            from ..native_build import find_compiler

            find_compiler()
        self._cache = self._cache or PrivateCache()

    def load(self, module: nn.Module, artifact: Path | None) -> InProcessSession:
        """Have the module compiled by its first call."""
        import torch
        import torch._inductor

        options = torch._inductor.list_mode_options(self.mode)
        options["freezing"] = not self.settings.on_cuda
        return CompiledSession(torch.compile(module, options=options, dynamic=False), self.settings)

    def close(self) -> None:
        """Remove what was compiled."""
        if self._cache is not None:
            self._cache.close()
            self._cache = None
