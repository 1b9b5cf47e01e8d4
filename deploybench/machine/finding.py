"""A finding about the machine, and where an examination reads. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import cpus
from .known import known

OK, LOOK, NOT_KNOWN = "ok", "look", "not known"


@dataclass(frozen=True)
class Finding:
    """What was examined, one of OK, LOOK and NOT_KNOWN, what was seen, and what to do."""

    subject: str
    verdict: str
    seen: str
    remedy: str = ""

    def line(self) -> str:
        """All of it in one line."""
        words = f"{self.verdict:<9}  {self.subject}: {self.seen}"
        return f"{words}; {self.remedy}" if self.remedy else words


@dataclass(frozen=True)
class Place:
    """Where an examination reads, so that a test can plant what it finds.

    root: the folder that has proc and sys. environment: the variables. cores: those that this
    process may use.
    """

    root: Path = Path("/")
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    cores: frozenset[int] = field(default_factory=cpus.of_run)

    def read(self, path: str | Path) -> str | None:
        """The text of a file below the root, without white space around it; None if unreadable."""
        return known(lambda: (self.root / path).read_text(errors="replace").strip(), None)

    def number(self, path: str | Path) -> int | None:
        """The whole number in a file; None if there is none."""
        return known(lambda: int(self.read(path) or ""), None)

    def found(self, pattern: str) -> Iterator[Path]:
        """The files below the root that match, by their paths below it."""
        for path in known(lambda: sorted(self.root.glob(pattern)), []):
            yield path.relative_to(self.root)
