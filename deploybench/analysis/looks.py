"""How often a growing comparison is judged, and how sure each judgement must be. Imports no torch.

A comparison that goes on until it is decided is judged several times, and each time is a chance for
an unchanged cell to look changed. So the looks are few and fixed in advance, and each gets an equal
share of the error (Bonferroni): if a look is wrong with a probability of at most e / k, one of k
looks is wrong with at most e, however they depend on each other.
"""

from __future__ import annotations

from .regression import INCONCLUSIVE, Report

PAIRS = (3, 5, 8, 12, 20)
"""After how many runs of each side the comparison is judged."""


def confidence_of_one(confidence: float) -> float:
    """The confidence of one look, so that all of PAIRS together have `confidence`."""
    return 1 - (1 - confidence) / len(PAIRS)


def undecided(report: Report) -> list[str]:
    """The models that have a cell which more runs may decide, each once."""
    return list(dict.fromkeys(cell.model for cell in report.cells if cell.verdict == INCONCLUSIVE))
