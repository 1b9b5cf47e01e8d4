"""Each cell as a multiple of its model's roofline bound. Imports no torch.

The roofline bound, or floor, is the shortest time that a model can take on a device: the time for
its arithmetic at the rate of a large matrix product or convolution, or for reading its weights at
the rate of a large copy, whichever is longer. Both rates are measured in the run (roofline.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from ..errors import FileError
from ..records.pooling import comparable
from ..records.record import CaseRecord, RunRecord
from .labels import DISTURBED, labels, mark, place

ARITHMETIC, WEIGHTS = "arithmetic", "weights"


@dataclass(frozen=True)
class Floor:
    """The shortest time of a call, in milliseconds, and which of the two limits it."""

    milliseconds: float
    bound_by: str


def of(case: CaseRecord, run: RunRecord) -> Floor | None:
    """The floor of a case; None if its run has no rates."""
    if run.peak is None:
        return None
    shares = {
        ARITHMETIC: (case.flops, run.peak.flops_per_second),
        WEIGHTS: (case.weight_bytes, run.peak.bytes_per_second),
    }
    times = {
        name: 1e3 * amount / rate for name, (amount, rate) in shares.items() if amount and rate
    }
    if len(times) < len(shares):
        return None
    longest = max(times, key=lambda name: times[name])
    return Floor(times[longest], longest)


def to_rows(runs: Sequence[RunRecord], decimals: int = 2) -> list[list[str]]:
    """One row per model and condition: its floor, what limits it, and each column's multiple of it.

    The header comes first. decimals: of the floor's milliseconds. Raises FileError if no run has
    the rates of its device.
    """
    (runs,) = comparable(runs)
    titles = labels(runs)
    rows: dict[tuple[str, str], list[Floor]] = {}
    multiples: dict[tuple[str, str], dict[str, list[tuple[float, CaseRecord]]]] = {}
    columns: dict[str, float] = {}
    for run in runs:
        for case in run.cases:
            floor = of(case, run)
            if floor is None:
                continue
            row = case.model, titles.get(run.condition or "", "")
            columns[case.column] = place(case)
            rows.setdefault(row, []).append(floor)
            cells = multiples.setdefault(row, {}).setdefault(case.column, [])
            cells.append((case.latency_ms / floor.milliseconds, case))
    if not rows:
        raise FileError("no run has the rates of its device; save one with this version")
    ordered = sorted(columns, key=lambda column: columns[column])
    return [
        ["Model", "Floor (ms)", "Bound by", *ordered],
        *(
            [
                model + label,
                f"{median(floor.milliseconds for floor in floors):.{decimals}f}",
                " or ".join(sorted({floor.bound_by for floor in floors})),
                *(_multiple(multiples[model, label].get(column)) for column in ordered),
            ]
            for (model, label), floors in sorted(rows.items())
        ),
    ]


def _multiple(found: Sequence[tuple[float, CaseRecord]] | None) -> str:
    """The multiple of the floor, marked as the latency is."""
    if not found:
        return "-"
    star = DISTURBED if any(case.disturbed for _, case in found) else ""
    middle = median(multiple for multiple, _ in found)
    return f"{middle:.2f}{star}{mark(case for _, case in found)}"
