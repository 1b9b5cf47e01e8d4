"""A finding about the machine, and where an examination reads. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

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
    cores: frozenset[int] = field(default_factory=lambda: _own_cores())

    def read(self, path: str | Path) -> str | None:
        """The text of a file below the root, without white space around it; None if unreadable."""
        try:
            return (self.root / path).read_text(errors="replace").strip()
        except OSError:
            return None

    def number(self, path: str | Path) -> int | None:
        """The whole number in a file; None if there is none."""
        text = self.read(path)
        try:
            return int(text or "")
        except ValueError:
            return None

    def found(self, pattern: str) -> Iterator[Path]:
        """The files below the root that match, by their paths below it."""
        for path in sorted(self.root.glob(pattern)):
            yield path.relative_to(self.root)


def _own_cores() -> frozenset[int]:
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def cores_of(text: str) -> frozenset[int]:
    """The cores in the kernel's notation, for example 0-3,8."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)
