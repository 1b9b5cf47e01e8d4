"""What runs the jobs of a sweep, and the options that only some of them take."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .. import options
from ..errors import UsageError

if TYPE_CHECKING:
    from ..sweep.engine import Engine
    from ..sweep.folder import Folder
    from ..sweep.job import Job

LOCAL, RAY, SLURM = "local", "ray", "slurm"
OF_ENGINES = {"slots": (LOCAL, SLURM), "address": (RAY,), "machine": (RAY,), "slurm": (SLURM,)}
"""Which engines take which option."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--on",
        choices=tuple(ENGINES),
        default=LOCAL,
        help="where jobs run: on this machine, on the nodes of a Ray cluster, or on those of a "
        "Slurm cluster (default: local)",
    )
    parser.add_argument(
        "--slots",
        metavar="N",
        help="jobs at a time: on the CPU of this machine, each with its own cores; with --on "
        "slurm, each on its own node (default: 1); on the GPUs of this machine it is one for each",
    )
    parser.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="of the Ray cluster, or auto (default: one is started on this machine)",
    )
    parser.add_argument(
        "--machine",
        metavar="KIND",
        help="only nodes of the Ray cluster with the label deploybench-machine=KIND",
    )
    parser.add_argument(
        "--slurm",
        action="append",
        metavar="NAME=VALUE,...",
        help="options of sbatch for each job, such as partition=gpu,constraint=h100",
    )


def made(
    pending: Sequence[Job], folder: Folder, arguments: argparse.Namespace, command: Sequence[str]
) -> list[tuple[Engine, list[Job]]]:
    """Which engine runs which jobs; one engine after the other, as both use the cores.

    command: what measures a job. Raises UsageError for an option that the engine does not take.
    """
    for name, engines in OF_ENGINES.items():
        if getattr(arguments, name) is not None and arguments.on not in engines:
            wanted = " or ".join(f"--on {each}" for each in engines)
            raise UsageError(f"--{name} has no effect with --on {arguments.on}; it is for {wanted}")
    make = ENGINES[arguments.on]
    kinds = [[job for job in pending if job.on_gpu], [job for job in pending if not job.on_gpu]]
    return [(make(folder, arguments, command, jobs[0].on_gpu), jobs) for jobs in kinds if jobs]


def _slots(arguments: argparse.Namespace) -> int:
    return options.positive("--slots")(arguments.slots or "1")


def _local(
    folder: Folder, arguments: argparse.Namespace, command: Sequence[str], on_gpu: bool
) -> Engine:
    from ..machine import topology
    from ..sweep import slots
    from ..sweep.local import Local

    cores = topology.cores()
    if on_gpu:
        gpus = slots.visible(topology.gpus(), os.environ.get("CUDA_VISIBLE_DEVICES"))
        own = slots.of_gpus(cores, gpus)
    else:
        own = slots.of_cpu(cores, _slots(arguments))
    return Local(own, folder.jobs, arguments.deadline, command)


def _on_ray(
    folder: Folder, arguments: argparse.Namespace, command: Sequence[str], on_gpu: bool
) -> Engine:
    from ..sweep.on_ray import OnRay

    given = arguments.address, arguments.machine, on_gpu
    return OnRay(folder.jobs, arguments.deadline, command, *given)


def _on_slurm(
    folder: Folder, arguments: argparse.Namespace, command: Sequence[str], on_gpu: bool
) -> Engine:
    from ..sweep import on_slurm

    given = _slots(arguments), on_slurm.parameters(arguments.slurm or ()), on_gpu
    return on_slurm.OnSlurm(folder.jobs, arguments.deadline, command, *given)


ENGINES: dict[str, Callable[..., Engine]] = {LOCAL: _local, RAY: _on_ray, SLURM: _on_slurm}
"""By name, what makes each."""
