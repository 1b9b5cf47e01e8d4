#!/usr/bin/env python3
"""Whether a workload of known length is reported with that length, through each backend's own path.

On a CPU the workload is a module that waits, busily, until a clock of its own says that the time is
over; it can be scripted, so the C++ process runs the same file, and what traces or exports it gets
an operator that waits. ONNX has no such operator, so its backends are left out. On a GPU it is
torch.cuda._sleep, whose length is first measured by CUDA events. A call takes something beside the
work, which is printed and added to what is expected: from the call to the work's first look at the
clock and from its last to the call's end, by a plain loop, where the work runs in Python; else what
a workload of no length takes. Two negative controls: work on another stream must not be counted,
and a clock that does not synchronise must show less than the work takes.

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
    """Wait, as an operator; answers with a copy, since an operator must not give its input back."""
    wait(nanoseconds)
    return batch.clone()


@waiting.register_fake
def _(batch: Tensor, nanoseconds: int) -> Tensor:
    return torch.empty_like(batch)


class Wait(nn.Module):
    """Takes `nanoseconds` and gives its input back."""

    def __init__(self, nanoseconds: int) -> None:
        super().__init__()
        self.nanoseconds = nanoseconds

    def forward(self, batch: Tensor) -> Tensor:
        """Wait, then answer."""
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
    timing = Timing(session, [BATCH], Protocol(), lambda *_: None)
    measure_interleaved([timing])
    return timing.result()


def report(name: str, milliseconds: float, beside: float, measurement: Measurement) -> bool:
    """Print one line; whether the median and its place in the table are right.

    milliseconds: of the work. beside: what a call takes beside it.
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
    """Median seconds of a call before and after its work; None where the work is not in Python."""
    if not isinstance(session, InProcessSession):
        return None
    session.put(BATCH)
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
    """Every duration through every backend."""
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
                    backend.export(module, BATCH, path)
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
    """Median seconds of `work` on the GPU by CUDA events."""
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
    """A session whose clock reads the launch queue."""

    def synchronize(self) -> None:
        """Wait for nothing."""


def on_gpu(device: str) -> list[bool]:
    """Every duration in this process, and the negative controls."""
    chosen = settings.resolve(device)
    settings.apply(chosen)
    per_cycle = event_seconds(lambda: torch.cuda._sleep(10**8)) / 10**8
    right = []
    for milliseconds in MILLISECONDS:
        cycles = round(milliseconds / 1e3 / per_cycle)

        def sleep(batch: Tensor, cycles: int = cycles) -> Tensor:
            torch.cuda._sleep(cycles)
            return batch

        # What a launch and a wait take is known from a kernel of one cycle.
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
    """Seconds of 20 calls; what they left on the device is waited for afterwards."""
    session.put(BATCH)
    seconds = session.timed(20)
    torch.cuda.synchronize()
    return seconds


def main() -> int:
    """Print a line per duration; 0 if all are right."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--backends", default=BACKENDS, help="on a CPU")
    given = parser.parse_args()
    on_a_cpu = given.device == "cpu"
    right = on_cpu(backends.select(given.backends)) if on_a_cpu else on_gpu(given.device)
    print(f"{sum(right)} of {len(right)} right")
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
