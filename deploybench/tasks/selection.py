"""What a detector does to its boxes, which explains why one may be missing."""

from __future__ import annotations

from dataclasses import dataclass

from .boxes import BOXES, LABELS, SCORES, Found, only, overlap

AT_THE_LIMIT = 1e-3
"""How far two boxes' overlap may be from the limit of suppression for rounding to decide."""


@dataclass(frozen=True)
class Selection:
    """How a detector selects its boxes; None for what it does not do, or what is not known.

    score_threshold: it keeps boxes with higher scores. most: it keeps so many of them per input.
    suppression: the overlap above which the box with the lower score of two is dropped.
    """

    score_threshold: float | None = None
    most: int | None = None
    suppression: float | None = None

    def explains(self, own: Found, box: int, other: Found, rivals: Found, limit: float) -> bool:
        """Whether rounding alone can have given one side this box and not the other.

        rivals: the boxes of the other side without a partner.
        """
        score = own[SCORES][box].item()
        if self.score_threshold is not None and abs(score - self.score_threshold) <= limit:
            return True
        if self.most is not None and max(len(own[BOXES]), len(other[BOXES])) >= self.most:
            lowest = min(own[SCORES].min().item(), other[SCORES].min().item())
            if score - lowest <= 2 * limit:
                return True
        return self.suppression is not None and (
            _is_suppressed(own, box, own, self.suppression, limit)
            or _is_suppressed(own, box, other, self.suppression, limit)
            or _is_rivalled(own, box, rivals, self.suppression, limit)
        )


def _is_suppressed(own: Found, box: int, by: Found, overlap_limit: float, limit: float) -> bool:
    """Whether a box of `by` with a higher score overlaps this one as much as the limit."""
    shares = overlap(only(own, [box]), by)[0]
    alike = by[LABELS] == own[LABELS][box]
    higher = by[SCORES].double() >= own[SCORES][box].double() - limit
    return bool((alike & higher & ((shares - overlap_limit).abs() <= AT_THE_LIMIT)).any())


def _is_rivalled(own: Found, box: int, rivals: Found, overlap_limit: float, limit: float) -> bool:
    """Whether one of `rivals` has the same score: of the two, either may suppress the other."""
    shares = overlap(only(own, [box]), rivals)[0]
    alike = rivals[LABELS] == own[LABELS][box]
    tied = (rivals[SCORES].double() - own[SCORES][box].double()).abs() <= 2 * limit
    return bool((alike & tied & (shares > overlap_limit)).any())
