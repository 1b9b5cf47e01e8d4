"""The memory that loading and calling a model takes: resident, and on a GPU."""

from __future__ import annotations

from contextlib import suppress

import psutil
import torch
from torch import nn

from ..backends.session import Session
from ..machine.known import known
from ..settings import Settings


class DeviceMemory:
    """What this process, or a session's own process, allocates on the GPU from now on."""

    def __init__(self, settings: Settings) -> None:
        self._device = settings.device if settings.on_cuda else None
        if self._device:
            torch.cuda.reset_peak_memory_stats(self._device)
            self._before = torch.cuda.memory_allocated(self._device)

    def peak(self, session: Session, shared: nn.Module | None) -> int | None:
        """The most bytes at a time, with those of the module that the session shares, if any."""
        if self._device is None:
            return None
        own = session.peak_device_bytes()
        if own is not None:
            return own
        weights = [] if shared is None else [*shared.parameters(), *shared.buffers()]
        grown = torch.cuda.max_memory_allocated(self._device) - self._before
        return grown + sum(each.nbytes for each in weights)


def resident_bytes() -> int | None:
    """The resident memory of this process and its descendants; None if it cannot be read."""
    return known(_resident_bytes, None)


def _resident_bytes() -> int:
    process, total = psutil.Process(), 0
    for each in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            total += each.memory_info().rss
    return total
