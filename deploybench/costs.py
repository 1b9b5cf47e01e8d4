"""What a backend costs beside its latency, and when that has paid. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median

from .results import Case, Run
from .speedup import BASELINE
from .table import labels

MEBIBYTE = 2**20


def to_rows(runs: Sequence[Run]) -> list[list[str]]:
    """One row per model and column, the header first; the medians of what the runs say.

    Export and load are in seconds, the file and memory in MiB, calls in milliseconds. Break-even is
    the number of calls after which exporting has taken less time than it saved against eager.
    """
    found: dict[tuple[str, float, str], list[tuple[Case, float | None]]] = {}
    titles = labels(runs)
    for run in runs:
        eager = {case.model: case.milliseconds for case in run.cases if case.backend == BASELINE}
        for case in run.cases:
            order = math.inf if case.order is None else case.order
            cell = case.model, order, case.column + titles.get(run.condition or "", "")
            found.setdefault(cell, []).append((case, eager.get(case.model)))
    return [
        ["Model", "Backend", *(name for name, _ in FIGURES), "Break-even"],
        *(
            [model, title, *(show(cases) for _, show in FIGURES), break_even(cases)]
            for (model, _, title), cases in sorted(found.items())
        ),
    ]


def _figure(name: str, unit: float, digits: int) -> Callable[[Sequence[tuple[Case, object]]], str]:
    """A column: the median of what the cases say under `name`, in units of `unit`."""

    def show(cases: Sequence[tuple[Case, object]]) -> str:
        given = [case.extra_info.get(name) for case, _ in cases]
        known = [value for value in given if isinstance(value, int | float)]
        return f"{median(known) / unit:.{digits}f}" if known else "-"

    return show


FIGURES: tuple[tuple[str, Callable[[Sequence[tuple[Case, object]]], str]], ...] = (
    ("Export (s)", _figure("export_seconds", 1, 2)),
    ("File (MiB)", _figure("artifact_bytes", MEBIBYTE, 1)),
    ("Load (s)", _figure("load_seconds", 1, 3)),
    ("First call (ms)", _figure("first_call_ms", 1, 2)),
    ("Second call (ms)", _figure("second_call_ms", 1, 2)),
    ("Memory (MiB)", _figure("memory_bytes", MEBIBYTE, 1)),
    ("GPU memory (MiB)", _figure("device_memory_bytes", MEBIBYTE, 1)),
    ("Cold start (s)", _figure("cold_start_seconds", 1, 2)),
    ("Median (ms)", lambda cases: f"{median(case.milliseconds for case, _ in cases):.2f}"),
)


def break_even(cases: Sequence[tuple[Case, float | None]]) -> str:
    """Calls after which the seconds of the export are saved; `never` where none are saved."""
    saved, exported = [], []
    for case, eager in cases:
        seconds = case.extra_info.get("export_seconds")
        if eager is not None and isinstance(seconds, int | float):
            saved.append(eager - case.milliseconds)
            exported.append(1e3 * seconds)
    if not saved:
        return "-"
    return f"{math.ceil(median(exported) / median(saved))}" if median(saved) > 0 else "never"
