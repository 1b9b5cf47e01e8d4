"""The roofline bound: the minimum work of a call, and the peak rates of this device.

After S. Williams, A. Waterman and D. Patterson, 2009, "Roofline: an insightful visual performance
model for multicore architectures".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from ..backends.session import InProcessSession
from ..batches import Batch, to_device
from ..settings import Settings

# The calls of each operation, and the total seconds after which no further call is made.
ATTEMPTS, ENOUGH = 5, 0.2
# For CPU (False) and GPU (True): the size of the matrices, the batch size of the convolution, and
# the bytes of the copy. They are so large that the start of a call does not matter.
MATRIX = {False: 2048, True: 8192}
IMAGES = {False: 4, True: 256}
CHANNELS, SIDE, KERNEL = 512, 28, 3
COPY = {False: 2**28, True: 2**30}
# By which numbers the size of an operation is divided, one after the other, until a call takes so
# many seconds: without hardware for float16, the largest would take minutes. From one product to
# the next there are 8 times as many operations, and 4 times from one convolution to the next.
PARTS = {"product": (16, 8, 4, 2, 1), "convolution": (4, 2, 1)}
LONG_ENOUGH = {"product": 0.01, "convolution": 0.05}


@dataclass(frozen=True)
class Work:
    """The work of one call: floating-point operations, and bytes of weights to read."""

    flops: int
    weight_bytes: int


@dataclass(frozen=True)
class Peak:
    """The peak rates of the device: operations, and bytes read or written, per second.

    fastest: the operation of that rate, and by what its size was divided.
    """

    flops_per_second: float
    bytes_per_second: float
    fastest: tuple[str, int]


def work(module: nn.Module, batch: Batch) -> Work:
    """Count the work of one call of `module` on `batch`.

    Nothing is computed: the tensors have only shapes. A multiplication and an addition count as two
    operations, as in torch.utils.flop_counter.
    """
    weights = dict([*module.named_parameters(), *module.named_buffers()])
    shapes = {name: each.detach().to("meta") for name, each in weights.items()}
    # With gradients on, attention consists of operations that the counter knows.
    with FlopCounterMode(display=False) as counter, torch.enable_grad(), _WithoutNorms():
        functional_call(module, shapes, to_device(batch, "meta"))
    return Work(counter.get_total_flops(), sum(each.nbytes for each in weights.values()))


class _WithoutNorms(TorchFunctionMode):
    """A context without batch norms: they count as no work and take most of the time."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Return the input of a batch norm; call any other function."""
        return args[0] if func is F.batch_norm and args else func(*args, **(kwargs or {}))


def peak(settings: Settings, before: Peak | None = None) -> Peak | None:
    """Measure a large copy, and matrix products and convolutions of growing size.

    The fastest operation counts, because on some processors it is a convolution. Returns None if
    the device lacks an operation in that dtype, or the memory for it. before: what was measured
    earlier; then only the copy and the fastest operation are measured again, and the better rates
    count, since other work can only slow one down.
    """
    try:
        return _peak(settings) if before is None else _again(settings, before)
    except RuntimeError:
        return before


def _peak(settings: Settings) -> Peak:
    rates = {}
    for kind, parts in PARTS.items():
        for part in parts:
            operations, seconds = _operation(kind, part, settings)
            rates[kind, part] = operations / seconds
            if seconds > LONG_ENOUGH[kind]:
                break
    fastest = max(rates, key=lambda each: rates[each])
    return Peak(rates[fastest], _copied(settings), fastest)


def _again(settings: Settings, before: Peak) -> Peak:
    operations, seconds = _operation(*before.fastest, settings)
    rate = max(before.flops_per_second, operations / seconds)
    return Peak(rate, max(before.bytes_per_second, _copied(settings)), before.fastest)


def _copied(settings: Settings) -> float:
    """The bytes read or written per second by a copy."""
    # Copy to memory that is already mapped: the first access to new memory costs system time.
    size = COPY[settings.on_cuda]
    target = torch.zeros(size, dtype=torch.uint8, device=settings.device)
    return 2 * size / _least_seconds(target.copy_, torch.ones(size, dtype=torch.uint8), settings)


def _operation(kind: str, part: int, settings: Settings) -> tuple[int, float]:
    """The number of floating-point operations of a call, and the least seconds of one."""
    if kind == "convolution":
        operations, call, given = _convolution(part, settings)
        return operations, _least_seconds(call, given, settings)
    side = MATRIX[settings.on_cuda] // part
    matrix = torch.randn(side, side).to(getattr(torch, settings.dtype))
    with _as_convolutions(settings):
        return 2 * side**3, _least_seconds(lambda each: each @ each, matrix, settings)


def _convolution(part: int, settings: Settings) -> tuple[int, nn.Module, Tensor]:
    dtype = getattr(torch, settings.dtype)
    layout = torch.channels_last if settings.channels_last else torch.preserve_format
    convolve = torch.nn.Conv2d(CHANNELS, CHANNELS, KERNEL, padding="same", bias=False)
    convolve = convolve.to(settings.device, dtype).to(memory_format=layout)
    side = SIDE // part
    batch = torch.randn(IMAGES[settings.on_cuda], CHANNELS, side, side)
    operations = 2 * batch.numel() * CHANNELS * KERNEL**2
    return operations, convolve, batch.to(dtype, memory_format=layout)


def _least_seconds(call: Callable[[Tensor], Tensor], given: Tensor, settings: Settings) -> float:
    session = InProcessSession(call, settings)
    session.put((given,))
    # The first call also allocates memory for its result.
    seconds = session.timed(2)[1:]
    while len(seconds) < ATTEMPTS and sum(seconds) < ENOUGH:
        seconds += session.timed(1)
    return min(seconds)


@contextmanager
def _as_convolutions(settings: Settings) -> Iterator[None]:
    """Let matrix products use TF32 if convolutions, the bulk of the arithmetic, may."""
    torch.set_float32_matmul_precision("high" if settings.cudnn_tf32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(settings.matmul_precision)
