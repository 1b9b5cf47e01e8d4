"""Exact confidence bounds of shares, and of the difference of two paired ones. Imports no torch.

The bound of a share is the one-sided one of C. J. Clopper and E. S. Pearson (1934), "The use of
confidence or fiducial limits illustrated in the case of the binomial". It holds for independent
images, whatever their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

CONFIDENCE = 0.95
MOST_IMAGES = 10_000_000
"""Beyond it, a number of images is of no use to anyone."""


def lower(successes: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """The exact one-sided lower bound of a share; 0 without trials."""
    if successes == 0:
        return 0.0
    from scipy.special import betaincinv

    return float(betaincinv(successes, trials - successes + 1, 1 - confidence))


def upper(successes: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """The exact one-sided upper bound of a share; 1 without trials."""
    return 1.0 - lower(trials - successes, trials, confidence)


def trials_needed(misses: int, share: float, confidence: float = CONFIDENCE) -> int:
    """The fewest trials in which so many misses show a share of successes of at least `share`.

    299, 473 and 628 for 0, 1 and 2 misses, 99% and a confidence of 95%.
    """
    return fewest(lambda trials: lower(trials - misses, trials, confidence) >= share, misses + 1)


def fewest(enough: Callable[[int], bool], least: int) -> int:
    """The least number from `least` on that is enough; MOST_IMAGES if none below it is.

    enough: false up to some number, and true from there on.
    """
    low, high = least, least
    while not enough(high):
        low, high = high + 1, high * 2
        if high > MOST_IMAGES:
            return MOST_IMAGES
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


@dataclass(frozen=True)
class PairedChange:
    """The change of accuracy on the same images: `gained` became right, and `lost` wrong.

    images: all that have a label, most of which are right, or wrong, both times.
    """

    images: int
    gained: int
    lost: int

    @property
    def estimate(self) -> float:
        """The change as a share of the images."""
        return (self.gained - self.lost) / self.images

    def bounds(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """The lower and the upper bound, each of one-sided `confidence`.

        McNemar's exact interval is that of the share of gains among the images that changed. It
        takes their number for given, so alone it would be too short: without a gain, it takes the
        losses seen for the only ones there can be. Its bounds are multiplied by the exact bounds of
        the share of images that change, each at half the error (Bonferroni).
        """
        half = (1 + confidence) / 2
        changed = self.gained + self.lost
        fewest_changed = lower(changed, self.images, half)
        most_changed = upper(changed, self.images, half)
        low = 2 * lower(self.gained, changed, half) - 1
        high = 2 * upper(self.gained, changed, half) - 1
        return (
            low * (most_changed if low < 0 else fewest_changed),
            high * (most_changed if high > 0 else fewest_changed),
        )

    @property
    def p_value(self) -> float:
        """Of McNemar's exact test: that gains and losses are equally likely."""
        changed, fewer = self.gained + self.lost, min(self.gained, self.lost)
        tail = sum(math.comb(changed, count) for count in range(fewer + 1))
        return min(1.0, 2 * tail / 2**changed)

    def scaled(self, images: int) -> PairedChange:
        """The same shares of that many images, rounded against the claim that none is lost."""
        factor = images / self.images
        return PairedChange(images, math.floor(self.gained * factor), math.ceil(self.lost * factor))
