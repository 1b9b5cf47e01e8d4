"""What a backend costs besides latency, and when the export has paid off. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median

from ..records.pooling import comparable
from ..records.record import CaseRecord, RunRecord
from .labels import DISTURBED, labels, mark, place
from .speedup import AGAIN, BASELINE, NO_BASELINE, Speedup, estimates

MEBIBYTE = 2**20


def to_rows(runs: Sequence[RunRecord], decimals: int = 2) -> list[list[str]]:
    """One row per model and column, the header first. Each figure is the median over the runs.

    Export and load are in seconds, file size and memory in MiB, calls in milliseconds. Memory is
    the growth of the run's memory. It does not include memory that an earlier model left to be
    reused, so only a cold start shows what a process needs by itself. Break-even is the number of
    calls after which the time saved against eager, by the speed-up of speedup.py, exceeds the time
    of the export; a doubtful speed-up gives none. A backend that exports nothing, such as
    torch.compile, does that work in its first call, whose time counts instead. Runs with neighbours
    have one column more: the latency of each copy of the model that ran beside the timed one. So
    have runs with reduced precision: how much of the model ran in it.
    decimals: of the median and of the copies.
    """
    (runs,) = comparable(runs)
    found: dict[tuple[str, float, str], list[tuple[CaseRecord, float | None]]] = {}
    titles, speedups = labels(runs), estimates(runs)
    for run in runs:
        eager = {case.model: case.latency_ms for case in run.cases if case.backend == BASELINE}
        for case in run.cases:
            cell = case.model, place(case), case.column + titles.get(run.condition or "", "")
            found.setdefault(cell, []).append((case, eager.get(case.model)))
    beside = any(case.neighbours_ms for run in runs for case in run.cases)
    titles_beside = ["Neighbours (ms)"] * beside
    reduced = any(case.reduced for run in runs for case in run.cases)
    return [
        [
            *("Model", "Backend", *(name for name, _ in FIGURES)),
            *("Median (ms)", *titles_beside, "Break-even", *[IN_REDUCED] * reduced),
        ],
        *(
            [
                *(model, title, *(show(cases) for _, show in FIGURES)),
                _median(cases, decimals),
                *([_neighbours(cases, decimals)] * beside),
                break_even(cases, speedups.get(title, {}).get(model)),
                *[_reduced_work(cases)] * reduced,
            ]
            for (model, _, title), cases in sorted(found.items())
        ),
    ]


def _figure(
    name: str, unit: float, digits: int
) -> Callable[[Sequence[tuple[CaseRecord, object]]], str]:
    """A column: the median of the cases' attribute `name`, in units of `unit`."""

    def show(cases: Sequence[tuple[CaseRecord, object]]) -> str:
        given = [getattr(case, name) for case, _ in cases]
        known = [value for value in given if value is not None]
        return f"{median(known) / unit:.{digits}f}" if known else "-"

    return show


def _median(cases: Sequence[tuple[CaseRecord, object]], decimals: int) -> str:
    star = DISTURBED if any(case.disturbed for case, _ in cases) else ""
    middle = median(case.latency_ms for case, _ in cases)
    return f"{middle:.{decimals}f}{star}{mark(case for case, _ in cases)}"


def _neighbours(cases: Sequence[tuple[CaseRecord, object]], decimals: int) -> str:
    """Of each copy, the median over the runs."""
    of_copies = zip(*(case.neighbours_ms for case, _ in cases), strict=False)
    return ", ".join(f"{median(each):.{decimals}f}" for each in of_copies) or "-"


def _reduced_work(cases: Sequence[tuple[CaseRecord, object]]) -> str:
    """Of the last run: how many of the layers, and their share of the time."""
    found = cases[-1][0].reduced
    if found is None or found.layers is None or found.reduced_layers is None:
        return "-"
    time = "" if found.time_share is None else f", {found.time_share:.0%}"
    return f"{found.reduced_layers} of {found.layers}{time}"


IN_REDUCED = "Reduced precision (layers, time)"
FIGURES: tuple[tuple[str, Callable[[Sequence[tuple[CaseRecord, object]]], str]], ...] = (
    ("Export (s)", _figure("export_seconds", 1, 2)),
    ("File (MiB)", _figure("artifact_bytes", MEBIBYTE, 1)),
    ("Load (s)", _figure("load_seconds", 1, 3)),
    ("First call (ms)", _figure("first_call_ms", 1, 2)),
    ("Second call (ms)", _figure("second_call_ms", 1, 2)),
    ("Memory (MiB)", _figure("memory_bytes", MEBIBYTE, 1)),
    ("GPU memory (MiB)", _figure("device_memory_bytes", MEBIBYTE, 1)),
    ("Cold start (s)", _figure("cold_start_seconds", 1, 2)),
    ("Its peak (MiB)", _figure("cold_start_peak_bytes", MEBIBYTE, 1)),
)


def break_even(cases: Sequence[tuple[CaseRecord, float | None]], speedup: Speedup | None) -> str:
    """The calls after which the export has paid off; `never` if the backend is no faster.

    speedup: of these cases against eager. The time saved is its share of eager's, so that it fits
    the speed-up beside it.
    """
    if speedup is None:
        is_eager = any(case.backend in (None, BASELINE) for case, _ in cases)
        return "-" if is_eager else NO_BASELINE
    if speedup.doubtful:
        return f"{AGAIN}{DISTURBED if speedup.disturbed else ''}"
    ready = [(eager, milliseconds_to_make_ready(case)) for case, eager in cases]
    known = [(eager, spent) for eager, spent in ready if eager is not None and spent is not None]
    if not known:
        return "-"
    eager, spent = (median(each) for each in zip(*known, strict=True))
    saved = eager * (1 - 1 / speedup.ratio)
    # Rounded, because a logarithm has turned 500 calls into 500.0000000000001.
    return f"{math.ceil(round(spent / saved, 6))}" if saved > 0 else "never"


def milliseconds_to_make_ready(case: CaseRecord) -> float | None:
    """The time that a case's export took, or its first call if it exports nothing."""
    if case.export_seconds is not None:
        return 1e3 * case.export_seconds
    return None if case.backend == BASELINE else case.first_call_ms
