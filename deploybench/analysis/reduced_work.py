"""Where a model in reduced precision is slower than in float32, and what explains it.

The two are a backend and the one of the same name without `-int8`, such as `onnxruntime-int8-cpp`
and `onnxruntime-cpp`, in the same run. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..records.pooling import comparable
from ..records.record import CaseRecord, RunRecord
from . import speedup
from .labels import labels

Pair = tuple[CaseRecord, CaseRecord]


@dataclass(frozen=True)
class Slower:
    """A model that takes longer in reduced precision, by an interval that does not hold 1.

    times: how many times as long it takes. work: how much of it runs in reduced precision, in
    words; empty if it is unknown.
    """

    model: str
    column: str
    precision: str
    times: float
    work: str

    @property
    def reason(self) -> str:
        """What is known of why."""
        share = f": {self.work}" if self.work else ""
        return f"{self.times:.2f} times as long in {self.precision} as in float32{share}"


def slower_than_float32(runs: Sequence[RunRecord], confidence: float = 0.95) -> list[Slower]:
    """The cells of comparable runs that are slower in reduced precision, in the order of the run.

    Without those whose difference is not significant, disturbed, or not to be concluded from.
    """
    (runs,) = comparable(runs)
    titles = labels(runs)
    pairs: dict[tuple[str, str], list[Pair]] = {}
    for run in runs:
        plain = {(case.model, case.backend): case for case in run.cases if case.reduced is None}
        for case in run.cases:
            if case.reduced is None or case.backend is None:
                continue
            twin = plain.get((case.model, case.backend.replace(f"-{case.reduced.precision}", "")))
            if twin is not None:
                title = case.column + titles.get(run.condition or "", "")
                pairs.setdefault((case.model, title), []).append((twin, case))
    found = []
    for (model, title), each in pairs.items():
        known = speedup.estimate(each, confidence)
        reduced = each[-1][1].reduced
        if reduced is None or known.doubtful or known.holds_one or known.ratio > 1:
            continue
        found.append(Slower(model, title, reduced.precision, 1 / known.ratio, reduced.work))
    return found
