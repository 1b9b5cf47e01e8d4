"""torch.compile with autotuned kernels, and with a CUDA graph on a GPU."""

from __future__ import annotations

from ._compiled import InMode


class MaxAutotune(InMode):
    """Mode max-autotune. The second or third call records its CUDA graph."""

    name = "max-autotune"
    title = "torch.compile max-autotune"
    order = 80
    mode = "max-autotune"
