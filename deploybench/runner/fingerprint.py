"""The fingerprint of a run: machine, software and settings, which make two runs comparable."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import torch
import torchvision

from ..machine import identity, processor, variables
from ..machine.known import known
from ..machine.processor import Value

if TYPE_CHECKING:
    from ..timing.protocol import Protocol
    from .prepared_model import Plan


def fingerprint(
    plan: Plan, protocol: Protocol, batch_sizes: Sequence[int] = ()
) -> dict[str, Value]:
    """Everything that must be equal for two runs to be compared, by name.

    batch_sizes: all sizes of the run, if it has several; each case then records its own. A mask, a
    quota, variables and neighbours are in it only if there are any, so that runs without them are
    comparable with those of older versions, which did not record them.
    """
    settings = asdict(plan.settings)
    del settings["cpu_mask"]  # processor.limits has it
    return {
        "cpu": identity.cpu_name(),
        "cpus": processor.cpus(),
        "cpu_max_mhz": processor.cpu_max_mhz(),
        **processor.gpu(plan.settings.device),
        **processor.limits(),
        **variables.in_force(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "cuda": torch.version.cuda if plan.settings.on_cuda else None,
        "cudnn": known(torch.backends.cudnn.version, None) if plan.settings.on_cuda else None,
        **settings,
        "weights": plan.weights.kind,
        "seed": plan.seed,
        "batch_size": ",".join(map(str, batch_sizes)) if len(batch_sizes) > 1 else plan.batch_size,
        "metric": protocol.metric,
        "include_copies": protocol.include_copies,
        **({"neighbours": protocol.neighbours} if protocol.neighbours > 1 else {}),
    }
