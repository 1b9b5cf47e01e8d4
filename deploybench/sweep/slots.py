"""The places of a machine where jobs may run beside each other: own cores, and an own GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UsageError
from ..machine.cpus import notation
from ..machine.topology import Gpu

Cores = Sequence[frozenset[int]]
"""The CPUs of each core."""


@dataclass(frozen=True)
class Slot:
    """A place for one job at a time. cpus: its own; empty for all of the process. gpu: its UUID."""

    cpus: frozenset[int] = frozenset()
    gpu: str | None = None

    @property
    def name(self) -> str:
        """The slot in words, such as `CPUs 0-3`."""
        cpus = f"CPUs {notation(self.cpus)}" if self.cpus else "all CPUs"
        return f"{self.gpu}, {cpus}" if self.gpu else cpus


def of_cpu(cores: Cores, count: int) -> list[Slot]:
    """`count` slots with the same number of cores. Raises UsageError if there are fewer cores."""
    if count == 1:
        return [Slot(frozenset().union(*cores))]
    if count > len(cores):
        raise UsageError(
            f"--slots {count}: this process may use {len(cores)} cores, and a slot needs one of "
            f"its own; give at most {max(1, len(cores))}"
        )
    each = len(cores) // count
    return [Slot(_joined(cores[index * each : (index + 1) * each])) for index in range(count)]


def of_gpus(cores: Cores, gpus: Sequence[Gpu]) -> list[Slot]:
    """A slot for each GPU, with the same number of cores, near it as far as there are enough.

    Raises UsageError without a GPU, or with fewer cores than GPUs.
    """
    if not gpus:
        raise UsageError("the grid wants a GPU, but there is none, or no driver; see doctor")
    if len(gpus) > len(cores):
        raise UsageError(
            f"{len(gpus)} GPUs, but only {len(cores)} cores may be used, and each GPU needs one of "
            "its own; set CUDA_VISIBLE_DEVICES to fewer"
        )
    each, left = len(cores) // len(gpus), list(cores)
    slots = []
    for gpu in gpus:
        # Nearest first; the order of the others stays.
        nearest = sorted(left, key=lambda core: not core & gpu.near)[:each]
        left = [core for core in left if core not in nearest]
        slots.append(Slot(_joined(nearest), gpu.uuid))
    return slots


def visible(gpus: Sequence[Gpu], variable: str | None) -> list[Gpu]:
    """The GPUs that CUDA_VISIBLE_DEVICES allows, which has numbers or UUIDs."""
    if variable is None:
        return list(gpus)
    asked = [each.strip() for each in variable.split(",")]
    by_name = {str(index): gpu for index, gpu in enumerate(gpus)}
    by_name |= {gpu.uuid: gpu for gpu in gpus}
    return [by_name[each] for each in asked if each in by_name]


def _joined(cores: Cores) -> frozenset[int]:
    return frozenset().union(*cores)
