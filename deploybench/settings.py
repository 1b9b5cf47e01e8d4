"""What is set the same way in every process that runs a model, Python or C++.

Importing this module imports no torch; asking it for anything that depends on the machine does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace

from .errors import BackendFailed, UsageError
from .machine import allocator as memory_allocator

DTYPES = ("float32", "float16", "bfloat16")
GRAD_MODES = ("inference", "no_grad")
BASELINE = "eager"
"""The backend that all others are compared with."""


@dataclass(frozen=True)
class Settings:
    """The settings that decide how torch computes.

    Every backend applies all of them and reports what is then in force; a difference is an error.

    device: "cpu" or "cuda:N".
    threads: intra-op threads. interop_threads: inter-op threads.
    grad_mode: one of GRAD_MODES: "inference" is torch.inference_mode in Python and
    c10::InferenceMode in C++.
    cudnn_tf32: TF32 allowed in cuDNN convolutions.
    matmul_precision: "highest", "high" or "medium", as torch.set_float32_matmul_precision takes it.
    cudnn_benchmark: cuDNN tries its algorithms out and keeps the fastest.
    cudnn_deterministic: only deterministic cuDNN algorithms.
    dtype: of weights, inputs and logits; one of DTYPES.
    channels_last: weights and inputs lie in memory with their channels last.
    allocator: "tuned" or "default"; see allocator.py.
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

    @property
    def on_cuda(self) -> bool:
        """Whether the device is a CUDA one."""
        return self.device.startswith("cuda")


def check_device_name(given: str) -> str:
    """Return `given` if it has the form of a device name; raise UsageError if not."""
    if re.fullmatch(r"auto|cpu|cuda(:\d+)?", given):
        return given
    raise UsageError(f"unknown device '{given}': allowed: auto, cpu, cuda, cuda:N")


def resolve_device(given: str) -> str:
    """Turn "auto", "cpu", "cuda" or "cuda:N" into "cpu" or "cuda:N".

    Raises UsageError when that device is not there.
    """
    import torch

    check_device_name(given)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if given == "cpu" or (given == "auto" and count == 0):
        return "cpu"
    index = int(given.partition(":")[2] or 0)
    if index >= count:
        there = f"the CUDA devices here are cuda:0 to cuda:{count - 1}" if count else "none is here"
        raise UsageError(f"device '{given}' is not there: {there}; use --device auto or cpu")
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

    tf32: "on" or "off" for convolutions and matrix products alike; None: as torch has it, on for
    convolutions alone. allocator: "tuned" or "default"; None: tuned where that can be. Raises
    UsageError for a device that is not there, and an allocator that cannot be tuned.
    """
    import torch

    tunable = memory_allocator.tunable()
    if allocator == memory_allocator.TUNED and not tunable:
        raise UsageError(
            "--allocator tuned needs glibc, which this machine does without: leave it out"
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
    """Intra-op threads when the user names none: torch's choice, shared among xdist's workers."""
    import torch

    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return max(1, torch.get_num_threads() // workers)


def calling(settings: Settings) -> AbstractContextManager[object]:
    """The grad mode of `settings`, to be entered around calls of a model."""
    import torch

    return torch.inference_mode() if settings.grad_mode == "inference" else torch.no_grad()


def apply(settings: Settings) -> None:
    """Put `settings` in force in this process.

    The grad mode is entered by each session around its calls and is not process-wide. Raises
    BackendFailed when torch reports a different value afterwards, and for an unknown grad mode.
    """
    import torch

    if settings.allocator == memory_allocator.TUNED:
        memory_allocator.tune()
    if settings.on_cuda:
        # Events are recorded and graphs captured on the current GPU, whichever holds the model.
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
    )
    require_in_force(asdict(settings), asdict(in_force), "Python")


def require_in_force(
    asked: Mapping[str, object], in_force: Mapping[str, object], process: str
) -> None:
    """Raise BackendFailed naming the first setting of `process` that is not what was asked."""
    for name, value in asked.items():
        if in_force[name] != value:
            raise BackendFailed(
                f"the {process} process runs with {name}={in_force[name]} where {value} was asked "
                "for; its numbers could not be compared with the others"
            )
