#!/usr/bin/env python3
"""Checks that a workload of known duration is reported correctly, through each backend's own path.

On a CPU, the workload is a module that waits busily by its own clock. It can be scripted, so the
C++ process runs the same file. Backends that trace or export it get an operator that waits; ONNX
has no such operator, so its backends are left out. On a GPU, the workload is torch.cuda._sleep,
whose duration is first measured by CUDA events.

A call also has an overhead, which is printed and added to the expected duration. If the work runs
in Python, the overhead is measured by a plain loop: the time before and after the work within the
call. Otherwise, it is the time of a workload of zero duration.

There are two negative controls: work on another stream must not be counted, and a clock that does
not synchronise must show less than the duration of the work.

    .venv/bin/python validation/known_durations.py
    .venv/bin/python validation/known_durations.py --device cuda
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch
import torch.jit._logging
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench import backends, settings
from deploybench.analysis import table
from deploybench.backends.session import InProcessSession, Session
from deploybench.records.record import CaseRecord, RunRecord
from deploybench.timing.interleaving import Timing, measure_interleaved
from deploybench.timing.protocol import Measurement, Protocol

MILLISECONDS = (0.1, 1.0, 10.0, 100.0)
DECIMALS = 3
BACKENDS = "eager,scripted,cpp,traced,frozen,optimized,frozen-cpp,compiled,aoti"
BATCH = torch.ones(1, 3, 8, 8)


spans: list[tuple[int, int]] = []
"""When each wait by Python's clock began and ended, in nanoseconds."""


def wait(nanoseconds: int) -> None:
    """Wait by Python's clock."""
    now = begin = time.perf_counter_ns()
    while now < begin + nanoseconds:
        now = time.perf_counter_ns()
    spans.append((begin, now))


@torch.library.custom_op("deploybench::wait", mutates_args=())
def waiting(batch: Tensor, nanoseconds: int) -> Tensor:
    """Wait, as an operator; returns a copy, because an operator must not return its input."""
    wait(nanoseconds)
    return batch.clone()


@waiting.register_fake
def _(batch: Tensor, nanoseconds: int) -> Tensor:
    return torch.empty_like(batch)


class Wait(nn.Module):
    """Takes `nanoseconds` and returns its input."""

    def __init__(self, nanoseconds: int) -> None:
        super().__init__()
        self.nanoseconds = nanoseconds

    def forward(self, batch: Tensor) -> Tensor:
        """Wait, then return the input."""
        if torch.jit.is_scripting():
            end = torch.jit._logging.time_point() + self.nanoseconds
            while torch.jit._logging.time_point() < end:
                pass
        elif torch.jit.is_tracing() or torch.compiler.is_compiling():
            batch = waiting(batch, self.nanoseconds)
        else:
            wait(self.nanoseconds)
        return batch


def measured(session: Session) -> Measurement:
    """The suite's own measurement of a session."""
    timing = Timing(session, [(BATCH,)], Protocol(), lambda *_: None)
    measure_interleaved([timing])
    return timing.result()


def report(name: str, milliseconds: float, beside: float, measurement: Measurement) -> bool:
    """Print one line; return whether the median and the table's figure are right.

    milliseconds: of the work. beside: the overhead of a call.
    """
    case = CaseRecord(name, name, name, 0, measurement.samples)
    run = RunRecord(Path(name), {}, (case,))
    shown = table.to_rows(table.merge([run]), decimals=DECIMALS)[1][1]
    found = case.latency_ms
    allowed = max(0.01 * milliseconds, 0.005)
    expected = milliseconds + beside
    right = all(abs(each - expected) <= allowed for each in (found, float(shown)))
    print(
        f"{name:10} {milliseconds:5} ms and {1e3 * beside:5.1f} us are reported as {found:8.4f} "
        f"ms, shown as {shown:>7}; off by {(found - expected) * 1e3:+6.1f} us  "
        f"{'right' if right else 'WRONG'}",
        flush=True,
    )
    return right


def seconds_beside(session: Session) -> float | None:
    """The median overhead of a call in seconds; None if the work does not run in Python."""
    if not isinstance(session, InProcessSession):
        return None
    session.put((BATCH,))
    spans.clear()
    calls = []
    with session.calling():
        for _ in range(30):
            begin = time.perf_counter_ns()
            session.run()
            calls.append((begin, time.perf_counter_ns()))
    if len(spans) < len(calls):
        return None
    whole, work = (
        [end - begin for begin, end in pairs[10:]] for pairs in (calls, spans[-len(calls) :])
    )
    return median(all_of_it - part for all_of_it, part in zip(whole, work, strict=True)) / 1e9


def on_cpu(names: Sequence[str]) -> list[bool]:
    """Check every duration through every backend."""
    chosen = settings.resolve("cpu", 1)
    settings.apply(chosen)
    right = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            backend = backends.registry()[name](chosen)
            backend.require()
            nothing = 0.0
            for milliseconds in (0.0, *MILLISECONDS):
                module = Wait(round(1e6 * milliseconds)).eval()
                path = Path(folder) / f"wait.{backend.format.suffix}"
                if backend.format is not None:
                    backend.export(module, (BATCH,), path)
                session = backend.load(module, path if backend.format else None)
                measurement = measured(session)
                if milliseconds:
                    beside = seconds_beside(session) or nothing
                    right.append(report(name, milliseconds, 1e3 * beside, measurement))
                else:
                    nothing = measurement.median
                session.close()
            backend.close()
    return right


def event_seconds(work: Callable[[], object]) -> float:
    """The median seconds of `work` on the GPU, by CUDA events."""
    seconds = []
    for _ in range(20):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        torch.cuda.synchronize()
        seconds.append(start.elapsed_time(end) / 1e3)
    return median(seconds)


class Unsynchronized(InProcessSession):
    """A session whose clock does not wait for the GPU."""

    def synchronize(self) -> None:
        """Wait for nothing."""


def on_gpu(device: str) -> list[bool]:
    """Check every duration in this process, and the negative controls."""
    chosen = settings.resolve(device)
    settings.apply(chosen)
    per_cycle = event_seconds(lambda: torch.cuda._sleep(10**8)) / 10**8
    right = []
    for milliseconds in MILLISECONDS:
        cycles = round(milliseconds / 1e3 / per_cycle)

        def sleep(batch: Tensor, cycles: int = cycles) -> Tensor:
            torch.cuda._sleep(cycles)
            return batch

        # A kernel of one cycle gives the overhead of a launch and a wait.
        empty = measured(InProcessSession(lambda batch: torch.cuda._sleep(1) or batch, chosen))
        session = InProcessSession(sleep, chosen)
        right.append(report("eager", milliseconds, 1e3 * empty.median, measured(session)))
        hasty = 1e3 * median(few_calls(Unsynchronized(sleep, chosen)))
        right.append(hasty < 0.5 * milliseconds)
        print(f"  a clock that does not synchronise shows {hasty:.4f} ms")
    other = torch.cuda.Stream()

    def elsewhere(batch: Tensor) -> Tensor:
        with torch.cuda.stream(other):
            torch.cuda._sleep(round(0.01 / per_cycle))
        return batch

    elsewhere_ms = 1e3 * median(few_calls(InProcessSession(elsewhere, chosen)))
    right.append(elsewhere_ms < 1.0)
    print(f"10 ms on another stream are counted as {elsewhere_ms:.4f} ms")
    return right


def few_calls(session: InProcessSession) -> list[float]:
    """The seconds of 20 calls; afterwards, waits until the device is idle."""
    session.put((BATCH,))
    seconds = session.timed(20)
    torch.cuda.synchronize()
    return seconds


def main() -> int:
    """Print one line per duration; return 0 if all are right."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument(
        "--backends", default=BACKENDS, metavar="NAMES", help="backends to check on a CPU"
    )
    given = parser.parse_args()
    on_a_cpu = given.device == "cpu"
    right = on_cpu(backends.select(given.backends)) if on_a_cpu else on_gpu(given.device)
    print(f"{sum(right)} of {len(right)} right")
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
