"""What a record has of a case of reduced precision. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from . import kinds
from .fields import stored

WITHIN, OVER = "within budget", "over budget"
UNDECIDED, NOT_JUDGED = "undecided", "not judged"
STATUSES = (OVER, NOT_JUDGED, UNDECIDED, WITHIN)
"""From the worst to the best; a wrong answer has no figure at all."""

_share = kinds.or_none(kinds.amount)
_number = kinds.or_none(kinds.number)


def mark_of(status: str) -> str:
    """The mark that follows every figure with that status; empty for WITHIN."""
    return "" if status == WITHIN else f" [{status.upper()}]"


def worst_mark(statuses: Iterable[str | None]) -> str:
    """The mark of a figure that comes from several; None is the status of other precision."""
    found = [status for status in statuses if status is not None]
    return mark_of(min(found, key=STATUSES.index)) if found else ""


@dataclass(frozen=True)
class Reduced:
    """The verdict on a case of reduced precision, what it rests on, and what ran so.

    precision: such as "int8". status: one of STATUSES. reason: the verdict in words. budget: as the
    user writes it.
    images, first_equal, five_equal, first_least, sqnr_db, divergence, step, near_ties, margin,
    missed_margin: see tasks.fidelity.Fidelity. labelled, gained, lost, change_low, change_high: of
    the change of accuracy; see tasks.exact_bounds.PairedChange.
    source: of the images. calibrated_with: the number of inputs that calibrated it. seed, digest:
    of the division into two halves; None if it was calibrated with seeded inputs.
    layers, reduced_layers, time_share: see backends.base.ReducedWork; None if unknown. cpu_units:
    what the processor has for such numbers.
    """

    precision: str = stored(kinds.text)
    status: str = stored(kinds.one_of(*STATUSES))
    reason: str = stored(kinds.text)
    budget: str = stored(kinds.text)
    images: int = stored(kinds.count, 0)
    first_equal: int = stored(kinds.count, 0)
    five_equal: int = stored(kinds.count, 0)
    first_least: float | None = stored(_share, None)
    sqnr_db: float | None = stored(_number, None)
    divergence: float | None = stored(_share, None)
    step: float | None = stored(_share, None)
    near_ties: int = stored(kinds.count, 0)
    margin: float | None = stored(_share, None)
    missed_margin: float | None = stored(_share, None)
    labelled: int = stored(kinds.count, 0)
    gained: int = stored(kinds.count, 0)
    lost: int = stored(kinds.count, 0)
    change_low: float | None = stored(_number, None)
    change_high: float | None = stored(_number, None)
    source: str = stored(kinds.text, "")
    calibrated_with: int = stored(kinds.count, 0)
    seed: int | None = stored(kinds.count, None)
    digest: str | None = stored(kinds.text, None)
    layers: int | None = stored(kinds.count, None)
    reduced_layers: int | None = stored(kinds.count, None)
    time_share: float | None = stored(_share, None)
    cpu_units: str = stored(kinds.text, "")

    @property
    def within(self) -> bool:
        """Whether it was shown to be within its budget."""
        return self.status == WITHIN

    @property
    def mark(self) -> str:
        """What stands behind its figure, wherever that is shown; empty if it is within budget."""
        return mark_of(self.status)

    @property
    def work(self) -> str:
        """How much runs in reduced precision, in words; empty if it is unknown."""
        if self.layers is None or self.reduced_layers is None:
            return ""
        time = "" if self.time_share is None else f", {self.time_share:.0%} of the time"
        return f"{self.reduced_layers} of {self.layers} layers in {self.precision}{time}"

    def conditions(self) -> dict[str, str | None]:
        """What two cases must share to be pooled, by what it is called.

        How many layers run in reduced precision is not among them: a commit may change it.
        """
        return {
            "calibrated with": f"{self.source or 'seeded inputs'} {(self.digest or '')[:12]}",
            "budget": self.budget,
            "units for it": self.cpu_units,
        }
