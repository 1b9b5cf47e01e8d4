"""What a backend costs beside its latency, and when that has paid. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median

from ..records.record import CaseRecord, RunRecord
from .labels import DISTURBED, labels, place
from .speedup import BASELINE

MEBIBYTE = 2**20


def to_rows(runs: Sequence[RunRecord], decimals: int = 2) -> list[list[str]]:
    """One row per model and column, the header first; the medians of what the runs say.

    Export and load are in seconds, the file and memory in MiB, calls in milliseconds. Memory is by
    how much that of the run grew; what an earlier model has left to be used again is not in it, so
    only a cold start tells what a process needs for itself. Break-even is the number of calls after
    which exporting has taken less time than it saved against eager; what exports nothing, as
    torch.compile, is made ready in its first call, which counts then. decimals: of the median.
    """
    found: dict[tuple[str, float, str], list[tuple[CaseRecord, float | None]]] = {}
    titles = labels(runs)
    for run in runs:
        eager = {case.model: case.latency_ms for case in run.cases if case.backend == BASELINE}
        for case in run.cases:
            cell = case.model, place(case), case.column + titles.get(run.condition or "", "")
            found.setdefault(cell, []).append((case, eager.get(case.model)))
    return [
        ["Model", "Backend", *(name for name, _ in FIGURES), "Median (ms)", "Break-even"],
        *(
            [
                *(model, title, *(show(cases) for _, show in FIGURES)),
                *(_median(cases, decimals), break_even(cases)),
            ]
            for (model, _, title), cases in sorted(found.items())
        ),
    ]


def _figure(
    name: str, unit: float, digits: int
) -> Callable[[Sequence[tuple[CaseRecord, object]]], str]:
    """A column: the median of that attribute of the cases, in units of `unit`."""

    def show(cases: Sequence[tuple[CaseRecord, object]]) -> str:
        given = [getattr(case, name) for case, _ in cases]
        known = [value for value in given if value is not None]
        return f"{median(known) / unit:.{digits}f}" if known else "-"

    return show


def _median(cases: Sequence[tuple[CaseRecord, object]], decimals: int) -> str:
    mark = DISTURBED if any(case.disturbed for case, _ in cases) else ""
    return f"{median(case.latency_ms for case, _ in cases):.{decimals}f}{mark}"


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


def break_even(cases: Sequence[tuple[CaseRecord, float | None]]) -> str:
    """Calls after which making it ready has been saved; `never` where nothing is saved."""
    saved, spent = [], []
    for case, eager in cases:
        milliseconds = _milliseconds_to_make_ready(case)
        if eager is not None and milliseconds is not None:
            saved.append(eager - case.latency_ms)
            spent.append(milliseconds)
    if not saved:
        return "-"
    return f"{math.ceil(median(spent) / median(saved))}" if median(saved) > 0 else "never"


def _milliseconds_to_make_ready(case: CaseRecord) -> float | None:
    if case.export_seconds is not None:
        return 1e3 * case.export_seconds
    return None if case.backend == BASELINE else case.first_call_ms
