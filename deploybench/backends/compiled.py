"""torch.compile in its default mode."""

from __future__ import annotations

from ._compiled import InMode


class Compiled(InMode):
    """The default mode."""

    name = "compiled"
    title = "torch.compile"
    order = 70
    mode = "default"
