#!/usr/bin/env python3
"""Whether a workload of known length is reported with that length, through each backend's own path.

On a CPU the workload is a module that waits, busily, until a clock of its own says that the time is
over; it scripts, so the C++ process runs the same file. On a GPU it is torch.cuda._sleep, whose
length is first measured by CUDA events. A call takes something even where the model does nothing:
that is measured with a workload of no length, printed, and added to what is expected. Two negative
controls: work on another stream must not be counted, and a clock that does not synchronise must
show less than the work takes.

    .venv/bin/python benchmarks/known_durations.py
    .venv/bin/python benchmarks/known_durations.py --device cuda
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
import torch.jit._logging
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench import backends, settings, table
from deploybench.backends.base import InProcessSession, Session
from deploybench.measure import Measurement, Protocol, Timing, measure_in_turn, timed_calls
from deploybench.results import Case, Run

MILLISECONDS = (0.1, 1.0, 10.0, 100.0)
BATCH = torch.ones(1, 3, 8, 8)


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
        else:
            self.wait()
        return batch

    @torch.jit.unused
    def wait(self) -> None:
        """Wait by Python's clock, whose reading takes less time there."""
        end = time.perf_counter_ns() + self.nanoseconds
        while time.perf_counter_ns() < end:
            pass


def measured(session: Session) -> Measurement:
    """The suite's own measurement of a session."""
    timing = Timing(session, [BATCH], Protocol(), lambda *_: None)
    measure_in_turn([timing])
    return timing.result()


def report(name: str, milliseconds: float, measurement: Measurement) -> bool:
    """Print one line; whether the median and its place in the table are right."""
    samples = tuple(1e3 * seconds for seconds in measurement.samples)
    case = Case(name, name, name, 0, samples)
    shown = float(table.to_rows(table.merge([Run(Path(name), {}, (case,))]))[1][1])
    found = median(samples)
    allowed = max(0.01 * milliseconds, 0.005)
    # The table has two decimals: what it shows may be off by half of the last one more.
    right = abs(found - milliseconds) <= allowed and abs(shown - milliseconds) <= allowed + 0.005
    print(
        f"{name:10} {milliseconds:8.3f} ms is reported as {found:8.4f} ms, shown as {shown:.2f}; "
        f"off by {(found - milliseconds) * 1e3:+.1f} us  {'right' if right else 'WRONG'}",
        flush=True,
    )
    return right


def on_cpu() -> list[bool]:
    """Every duration through every backend."""
    chosen = settings.resolve("cpu", 1)
    settings.apply(chosen)
    right = []
    with tempfile.TemporaryDirectory() as folder:
        for name in backends.select(backends.DEFAULT):
            backend = backends.registry()[name](chosen)
            backend.require()
            empty = 0.0
            for milliseconds in (0.0, *MILLISECONDS):
                module = Wait(round(1e6 * milliseconds)).eval()
                path = Path(folder) / "wait.ts"
                if backend.artifact_name:
                    backend.export(module, BATCH, path)
                session = backend.load(module, path if backend.artifact_name else None)
                measurement = measured(session)
                session.close()
                if milliseconds:
                    right.append(report(name, milliseconds + 1e3 * empty, measurement))
                else:
                    empty = measurement.median
                    print(f"{name:10} takes {1e6 * empty:.1f} us for nothing")
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
        right.append(report("eager", milliseconds + 1e3 * empty.median, measured(session)))
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
    seconds = timed_calls(session, 20)
    torch.cuda.synchronize()
    return seconds


def main() -> int:
    """Print a line per duration; 0 if all are right."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    device = parser.parse_args().device
    right = on_cpu() if device == "cpu" else on_gpu(device)
    print(f"{sum(right)} of {len(right)} right")
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
