"""The fingerprint of a run: machine, software and settings, which make two runs comparable."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import psutil
import torch
import torchvision

from ..machine import processor
from ..machine.processor import Value

if TYPE_CHECKING:
    from ..timing.protocol import Protocol
    from .prepared_model import Plan


def fingerprint(
    plan: Plan, protocol: Protocol, batch_sizes: Sequence[int] = ()
) -> dict[str, Value]:
    """Everything that must be equal for two runs to be compared, by name.

    batch_sizes: all sizes of the run, if it has several; each case then records its own.
    """
    return {
        "cpu": processor.cpu_name(),
        "cpus": psutil.cpu_count(),
        "cpu_max_mhz": processor.cpu_max_mhz(),
        **processor.gpu(plan.settings.device),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "cuda": torch.version.cuda if plan.settings.on_cuda else None,
        "cudnn": torch.backends.cudnn.version() if plan.settings.on_cuda else None,
        **asdict(plan.settings),
        "weights": plan.weights.kind,
        "seed": plan.seed,
        "batch_size": ",".join(map(str, batch_sizes)) if len(batch_sizes) > 1 else plan.batch_size,
        "metric": protocol.metric,
        "include_copies": protocol.include_copies,
    }
