"""The colours of a report's heat map: a class for each figure. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ..analysis.cells import Cell
from ..analysis.overview import Overview

LEVELS = 9
# The speed-up at which the diverging scale ends, to both sides.
STRONGEST = 2.5


@dataclass(frozen=True)
class Heat:
    """The ranges of the sequential scales, as logarithms."""

    latency: tuple[float, float]
    floor: tuple[float, float]

    @classmethod
    def of(cls, overview: Overview) -> Heat:
        """The ranges of all cells."""
        cells = overview.cells.values()
        return cls(
            _range(cell.latency_ms for cell in cells), _range(cell.times_floor for cell in cells)
        )

    def of_latency(self, cell: Cell) -> str:
        """The class of a cell's milliseconds."""
        return _sequential(cell.latency_ms, self.latency)

    def of_floor(self, cell: Cell) -> str:
        """The class of a cell's distance from the hardware's limit."""
        return _sequential(cell.times_floor, self.floor)

    def of_speedup(self, cell: Cell) -> str:
        """The class of a cell's speed-up; the middle one if it is not significant."""
        if cell.speedup is None:
            return "d4"
        if cell.speedup.holds_one:
            return "d4"
        share = math.log(cell.speedup.ratio) / math.log(STRONGEST)
        middle = LEVELS // 2
        steps = max(1, math.ceil(abs(share) * middle))
        return f"d{middle + (1 if share > 0 else -1) * min(middle, steps)}"


def _range(values: Iterable[float | None]) -> tuple[float, float]:
    known = [math.log(value) for value in values if value]
    return (min(known), max(known)) if known else (0.0, 0.0)


def _sequential(value: float | None, span: tuple[float, float]) -> str:
    if not value or span[0] == span[1]:
        return "h0"
    share = (math.log(value) - span[0]) / (span[1] - span[0])
    return f"h{min(LEVELS - 1, int(share * LEVELS))}"
