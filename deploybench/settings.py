"""The settings that every process applies before it runs a model, in Python or C++.

Importing this module imports no torch; functions that depend on the machine do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace

from .errors import BackendFailed, UsageError
from .machine import allocator as memory_allocator
from .machine import control_groups, cpus
from .machine.finding import Place

DTYPES = ("float32", "float16", "bfloat16")
GRAD_MODES = ("inference", "no_grad")
BASELINE = "eager"
"""The backend that all others are compared to."""


@dataclass(frozen=True)
class Settings:
    """The settings that decide how torch computes.

    Every backend applies all of them and reports what is in force afterwards; a difference is an
    error.

    device: "cpu" or "cuda:N".
    threads: intra-op threads. interop_threads: inter-op threads.
    grad_mode: one of GRAD_MODES: "inference" is torch.inference_mode in Python and
    c10::InferenceMode in C++.
    cudnn_tf32: TF32 allowed in cuDNN convolutions.
    matmul_precision: "highest", "high" or "medium", as torch.set_float32_matmul_precision takes it.
    cudnn_benchmark: cuDNN tries several algorithms and keeps the fastest.
    cudnn_deterministic: only deterministic cuDNN algorithms.
    dtype: of weights, inputs and logits; one of DTYPES.
    channels_last: weights and inputs are in the channels-last memory format.
    allocator: "tuned" or "default"; see allocator.py.
    cpu_mask: the CPUs that a process could use when it started, such as 0-3,8; "" if unknown.
    """

    device: str
    threads: int
    interop_threads: int
    grad_mode: str = "inference"
    cudnn_tf32: bool = True
    matmul_precision: str = "highest"
    cudnn_benchmark: bool = False
    cudnn_deterministic: bool = False
    dtype: str = "float32"
    channels_last: bool = False
    allocator: str = memory_allocator.DEFAULT
    cpu_mask: str = field(default_factory=cpus.mask)

    @property
    def on_cuda(self) -> bool:
        """Whether the device is a CUDA device."""
        return self.device.startswith("cuda")


def check_device_name(given: str) -> str:
    """Return `given` if it is a valid device name; raise UsageError otherwise."""
    if re.fullmatch(r"auto|cpu|cuda(:\d+)?", given):
        return given
    raise UsageError(f"unknown device '{given}': allowed: auto, cpu, cuda, cuda:N")


def resolve_device(given: str) -> str:
    """Turn "auto", "cpu", "cuda" or "cuda:N" into "cpu" or "cuda:N".

    Raises UsageError if the machine does not have that device.
    """
    import torch

    check_device_name(given)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if given == "cpu" or (given == "auto" and count == 0):
        return "cpu"
    index = int(given.partition(":")[2] or 0)
    if index >= count:
        there = f"CUDA devices cuda:0 to cuda:{count - 1}" if count else "no CUDA device"
        raise UsageError(
            f"device '{given}' does not exist: this machine has {there}; use --device auto or cpu"
        )
    return f"cuda:{index}"


def resolve(
    device: str = "auto",
    threads: int | None = None,
    *,
    dtype: str = "float32",
    tf32: str | None = None,
    channels_last: bool = False,
    allocator: str | None = None,
) -> Settings:
    """The settings for a run on `device` with `threads` intra-op threads (None: torch's default).

    tf32: "on" or "off" for both convolutions and matrix products; None: torch's default, on for
    convolutions only. allocator: "tuned" or "default"; None: tuned if possible. Raises UsageError
    for a device that does not exist, and for an allocator that cannot be tuned.
    """
    import torch

    tunable = memory_allocator.tunable()
    if allocator == memory_allocator.TUNED and not tunable:
        raise UsageError(
            "--allocator tuned needs glibc, which this machine does not have; leave it out"
        )
    settings = Settings(
        device=resolve_device(device),
        threads=threads or default_threads(),
        interop_threads=torch.get_num_interop_threads(),
        dtype=dtype,
        channels_last=channels_last,
        allocator=allocator or (memory_allocator.TUNED if tunable else memory_allocator.DEFAULT),
    )
    if tf32 is None:
        return settings
    precision = "high" if tf32 == "on" else "highest"
    return replace(settings, cudnn_tf32=tf32 == "on", matmul_precision=precision)


def default_threads() -> int:
    """The default of intra-op threads: torch's choice, divided among xdist's workers.

    Not more than a quota of CPU time allows, which torch does not know.
    """
    import torch

    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    quota = control_groups.quota(Place())
    most = torch.get_num_threads() if quota is None else min(torch.get_num_threads(), int(quota))
    return max(1, most // workers)


def calling(settings: Settings) -> AbstractContextManager[object]:
    """The grad mode of `settings`, as a context for calls of a model."""
    import torch

    return torch.inference_mode() if settings.grad_mode == "inference" else torch.no_grad()


def apply(settings: Settings) -> None:
    """Put `settings` in force in this process.

    The grad mode is not process-wide: each session enters it around its calls. Raises BackendFailed
    if torch reports a different value afterwards, and for an unknown grad mode.
    """
    import torch

    if settings.allocator == memory_allocator.TUNED:
        memory_allocator.tune()
    if settings.on_cuda:
        # Events are recorded and graphs captured on the current GPU, even if the model is
        # elsewhere.
        torch.cuda.set_device(settings.device)
    torch.set_num_threads(settings.threads)
    torch.backends.cudnn.allow_tf32 = settings.cudnn_tf32
    torch.set_float32_matmul_precision(settings.matmul_precision)
    torch.backends.cudnn.benchmark = settings.cudnn_benchmark
    torch.backends.cudnn.deterministic = settings.cudnn_deterministic
    with calling(settings):
        grad_mode = "inference" if torch.is_inference_mode_enabled() else "no_grad"
    in_force = replace(
        settings,
        grad_mode=grad_mode,
        device=f"cuda:{torch.cuda.current_device()}" if settings.on_cuda else settings.device,
        threads=torch.get_num_threads(),
        interop_threads=torch.get_num_interop_threads(),
        cudnn_tf32=torch.backends.cudnn.allow_tf32,
        matmul_precision=torch.get_float32_matmul_precision(),
        cudnn_benchmark=torch.backends.cudnn.benchmark,
        cudnn_deterministic=torch.backends.cudnn.deterministic,
        allocator=memory_allocator.in_force(),
        cpu_mask=cpus.mask(),
    )
    require_in_force(asdict(settings), asdict(in_force), "Python")


def require_in_force(
    asked: Mapping[str, object], in_force: Mapping[str, object], process: str
) -> None:
    """Raise BackendFailed naming the first setting of `process` that differs from `asked`."""
    for name, value in asked.items():
        if in_force[name] != value:
            raise BackendFailed(
                f"the {process} process runs with {name}={in_force[name]} although {value} was "
                "requested; its figures would not be comparable with the others"
            )
