"""What a run is doing, for whoever waits for it.

A stage is told before it begins. Nothing is told while calls are timed: to write a line, or even to
look at the clock for it, would be other work beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

PREPARING, EXPORTING, LOADING, CHECKING = "preparing", "exporting", "loading", "checking"
TIMING, TIMING_AGAIN, STARTING_COLD = "timing", "timing again", "starting cold"


@dataclass(frozen=True)
class Stage:
    """What begins. doing: one of the words above. backends: those that it concerns, if any."""

    model: str
    batch_size: int
    doing: str
    backends: tuple[str, ...] = ()

    def __str__(self) -> str:
        several = f"{len(self.backends)} backends"
        through = several if len(self.backends) > 1 else "".join(self.backends)
        return f"{self.model}: {self.doing} {through}".rstrip()


Tell = Callable[[Stage], None]


def silent(stage: Stage) -> None:
    """Tells nobody."""


@dataclass
class Estimate:
    """How long a run will still take, from what its models took so far.

    cases: how many there are of each model and batch size. bound: the seconds of timed calls that
    end a case; before any model is done, nothing else is known.
    """

    cases: dict[tuple[str, int], int]
    bound: float
    seconds: float = 0.0
    measured: int = 0

    def add(self, model: str, batch_size: int, seconds: float) -> None:
        """Note that a model is done."""
        self.seconds += seconds
        self.measured += self.cases.pop((model, batch_size), 0)

    @property
    def left(self) -> float:
        """Seconds until the end; without any model done, those of the timed calls."""
        each = self.seconds / self.measured if self.measured else self.bound
        return each * sum(self.cases.values())

    def __str__(self) -> str:
        words = "about {} left" if self.measured else "up to {} of timed calls left"
        return words.format(duration(self.left))


def duration(seconds: float) -> str:
    """Seconds in words: "40 s", "12 min" or "2 h 5 min"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min"
