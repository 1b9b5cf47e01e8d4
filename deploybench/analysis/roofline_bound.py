"""How far each cell is from the least time that its model can take. Imports no torch.

The floor of a model on a device is the longer of two times: of its arithmetic at the rate of a
large matrix product or convolution, and of reading its weights at the rate of a large copy, both
measured in the run itself (roofline.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from ..errors import FileError
from ..records.record import CaseRecord, RunRecord
from .labels import DISTURBED, labels, place

ARITHMETIC, WEIGHTS = "arithmetic", "weights"


@dataclass(frozen=True)
class Floor:
    """Milliseconds of a call at the least, and which of the two bounds it."""

    milliseconds: float
    bound_by: str


def of(case: CaseRecord, run: RunRecord) -> Floor | None:
    """The floor of a case; None where its run does not tell."""
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
    """One row per model and condition: its floor, what bounds it, and each column's multiple of it.

    The header first. decimals: of the floor's milliseconds. Raises FileError where no run tells
    what it needs.
    """
    titles = labels(runs)
    rows: dict[tuple[str, str], list[Floor]] = {}
    multiples: dict[tuple[str, str], dict[str, list[tuple[float, bool]]]] = {}
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
            cells.append((case.latency_ms / floor.milliseconds, bool(case.disturbed)))
    if not rows:
        raise FileError("no run tells its device's rates; save one with this version")
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


def _multiple(found: Sequence[tuple[float, bool]] | None) -> str:
    """How many times the floor, and whether other work got in the way."""
    if not found:
        return "-"
    mark = DISTURBED if any(disturbed for _, disturbed in found) else ""
    return f"{median(multiple for multiple, _ in found):.2f}{mark}"
