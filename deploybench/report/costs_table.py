"""The costs of each cell, as a table of a report's page. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..analysis.cells import Cell
from . import numbers

# Title, attribute of a case, and how it is written.
FIGURES: tuple[tuple[str, str, Callable[[float | None], str]], ...] = (
    ("Export", "export_seconds", numbers.seconds),
    ("File (MiB)", "artifact_bytes", numbers.mebibytes),
    ("Load", "load_seconds", numbers.seconds),
    ("First call", "first_call_ms", numbers.milliseconds),
    ("Second call", "second_call_ms", numbers.milliseconds),
    ("Memory (MiB)", "memory_bytes", numbers.mebibytes),
    ("GPU memory (MiB)", "device_memory_bytes", numbers.mebibytes),
    ("Cold start", "cold_start_seconds", numbers.seconds),
    ("Its peak (MiB)", "cold_start_peak_bytes", numbers.mebibytes),
)


@dataclass(frozen=True)
class CostsTable:
    """The columns that have any figure; the break-even is always the last."""

    figures: tuple[tuple[str, str, Callable[[float | None], str]], ...]

    @classmethod
    def of(cls, cells: Sequence[Cell]) -> CostsTable:
        """The columns for these cells."""
        return cls(
            tuple(
                figure
                for figure in FIGURES
                if any(cell.median_of(figure[1]) is not None for cell in cells)
            )
        )

    @property
    def titles(self) -> list[str]:
        """The titles of its columns."""
        return [*(title for title, _, _ in self.figures), "Break-even (calls)"]

    def row(self, cell: Cell) -> list[str]:
        """The figures of a cell."""
        shown = [show(cell.median_of(name)) for _, name, show in self.figures]
        return [*shown, numbers.NONE if cell.break_even == "-" else cell.break_even]
