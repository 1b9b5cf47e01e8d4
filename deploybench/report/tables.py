"""A table to be shown, before any format. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

WIDTH = 100
"""The columns of text where there is no terminal."""
NOTHING = "-"
"""Stands for a figure that is not known."""


@dataclass(frozen=True)
class View:
    """How text is shown. width: in columns. colour: whether the terminal shows colours."""

    width: int = WIDTH
    colour: bool = False


@dataclass(frozen=True)
class Section:
    """A list below a table, with its title."""

    title: str
    lines: tuple[str, ...]

    @property
    def heading(self) -> str:
        """Its title as a heading."""
        return f"{self.title[:1].upper()}{self.title[1:].rstrip(':')}"


@dataclass(frozen=True)
class Table:
    """What a command shows: fields of text, and the same as data for programs.

    header: the titles, each once. rows: of as many fields. names: how many columns at the left name
    a row. words: the titles of the other columns that hold words; all others hold figures. below:
    those of them whose words text lists below the table. optional: those that only a CSV has where
    no row has anything in them. title: what it is. before, notes:
    paragraphs above and below it. sections: lists below it. data: anything that JSON can hold.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1
    words: frozenset[str] = frozenset()
    below: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    title: str = ""
    before: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    data: object = None

    @classmethod
    def of(cls, rows: Iterable[Sequence[str]], **more: object) -> Table:
        """The table of `rows`, the header first; `more`: as the fields of a table."""
        header, *body = (tuple(row) for row in rows)
        return replace(cls(header, tuple(body)), **more)  # type: ignore[arg-type]

    def is_figure(self, place: int) -> bool:
        """Whether the column at that place holds figures."""
        return place >= self.names and self.header[place] not in self.words | self.below

    def without_empty(self) -> Table:
        """The table without the optional columns in which no row has anything."""
        kept = [
            place
            for place, title in enumerate(self.header)
            if title not in self.optional or any(row[place] != NOTHING for row in self.rows)
        ]
        rows = tuple(tuple(row[place] for place in kept) for row in self.rows)
        return replace(self, header=tuple(self.header[place] for place in kept), rows=rows)
