"""Percentiles of latencies, as far as the number of samples lets one claim them. Imports no torch.

A percentile far out is known only if enough samples lie beyond it. Of n independent samples, the
second largest lies above the quantile of share p with probability

    1 - p**n - n * (1 - p) * p**(n - 1)

since it does not only if none, or exactly one, lies above. A percentile is claimed if that is at
least CONFIDENCE. Then the samples reach beyond it even if the largest of them is an accident. The
same formula says how likely it is that the range of n samples covers the share p of all values
(S. S. Wilks, 1941, "Determination of sample sizes for setting tolerance limits", The Annals of
Mathematical Statistics 12).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

CONFIDENCE = 0.99
SHARES = (0.5, 0.9, 0.95, 0.99)
"""The percentiles that reports show, as shares."""


@cache
def least_samples(share: float, confidence: float = CONFIDENCE) -> int:
    """The smallest number of samples for which the percentile of `share` can be claimed."""
    count = 2
    while 1 - share**count - count * (1 - share) * share ** (count - 1) < confidence:
        count += 1
    return count


def claimed(samples: Sequence[float], share: float, confidence: float = CONFIDENCE) -> float | None:
    """The percentile of `share`, interpolated linearly; None if there are too few samples."""
    if len(samples) < least_samples(share, confidence):
        return None
    import numpy as np

    return float(np.quantile(samples, share))


def name(share: float) -> str:
    """How the percentile of a share is called: "p99" for 0.99."""
    return f"p{100 * share:g}"


@dataclass(frozen=True)
class Percentiles:
    """The percentiles of some samples, in their unit; None with too few samples to claim it."""

    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, samples: Sequence[float]) -> Percentiles:
        """Those of `samples`, such as the samples_ms of a case."""
        return cls(*(claimed(samples, share) for share in SHARES))
