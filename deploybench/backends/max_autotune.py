"""torch.compile that tries kernels out, and records a CUDA graph on a GPU."""

from __future__ import annotations

from ._compiled import InMode


class MaxAutotune(InMode):
    """Mode max-autotune. Its CUDA graph is recorded by the second call or the third."""

    name = "max-autotune"
    title = "torch.compile max-autotune"
    order = 80
    mode = "max-autotune"
