"""A table as text that fits the terminal. Imports no torch.

Columns that do not fit beside each other follow in blocks, each with the names of the rows. Figures
are aligned by their parts, so that a mark behind one moves no digit.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rich.box import Box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from ..errors import printable
from .tables import NOTHING, Section, Table, View

GAP = 2
# No table is narrower than this; a terminal that is shows its lines broken.
NARROWEST = 40
# A word longer than this is broken where there is no room for it.
WORD = 24
RULE = Box("    \n    \n----\n    \n    \n    \n    \n    \n", ascii=True)
# A figure: a number with its mark, the bounds of its interval, and what else is said of it.
FIGURE = re.compile(r"([-+<>]?\d\S*?%?)([*]?)(?: \[([^,\]]+), ([^,\]]+)\])?([*]?(?: .*)?)")

MARKS = re.compile(r"(?<=[\d\]])\*|~")

RED, GREEN, YELLOW, DIM = "red", "green", "yellow", "bright_black"
STYLES = {
    **dict.fromkeys(("slower", "wrong", "failed", "missing", "not comparable", "different"), RED),
    **dict.fromkeys(("faster", "ready", "ok", "exact", "equal within rounding"), GREEN),
    **dict.fromkeys(("inconclusive", "look", "measure again", "not compared"), YELLOW),
    **dict.fromkeys((NOTHING, "not known", "skipped"), DIM),
}


def write(table: Table, view: View) -> str:
    """The table, as wide as the view."""
    width = max(NARROWEST, view.width)
    table, listed = _listed_below(_visible(table))
    console = Console(
        file=io.StringIO(),
        width=width,
        color_system="standard" if view.colour else None,
        force_terminal=view.colour,
        no_color=not view.colour,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
    )
    for paragraph in table.before:
        _paragraph(console, paragraph)
    if table.rows:
        table = table.without_empty()
        table = replace(table, rows=_aligned(table))
        for number, block in enumerate(_blocks(table, width)):
            if number:
                console.print()
            console.print(_grid(table, block))
    if listed:
        console.print()
        for mark, words in listed.items():
            _paragraph(console, words, mark)
    if table.notes and (table.rows or table.before):
        console.print()
    for paragraph in table.notes:
        _paragraph(console, paragraph)
    for section in table.sections:
        console.print(Text(f"\n{section.title}"), no_wrap=True, crop=False)
        for each in section.lines:
            _paragraph(console, each, " ", hanging=2)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _visible(table: Table) -> Table:
    """Its texts without what would command a terminal."""
    rows = tuple(tuple(printable(field) for field in row) for row in table.rows)
    before, notes = (tuple(map(printable, each)) for each in (table.before, table.notes))
    header = tuple(map(printable, table.header))
    sections = tuple(
        Section(printable(each.title), tuple(map(printable, each.lines))) for each in table.sections
    )
    return replace(table, header=header, rows=rows, before=before, notes=notes, sections=sections)


def _listed_below(table: Table) -> tuple[Table, dict[str, str]]:
    """The table with numbers in place of long words, and the words by number."""
    numbers: dict[str, str] = {}
    rows = []
    for row in table.rows:
        fields = list(row)
        for place, title in enumerate(table.header):
            if title in table.below and fields[place] not in ("", NOTHING):
                fields[place] = numbers.setdefault(fields[place], f"[{len(numbers) + 1}]")
        rows.append(tuple(fields))
    return replace(table, rows=tuple(rows)), {mark: words for words, mark in numbers.items()}


def _aligned(table: Table) -> tuple[tuple[str, ...], ...]:
    """The rows, with the parts of all figures of a column below each other."""
    columns = []
    for place, column in enumerate(zip(*table.rows, strict=True)):
        columns.append(align(column) if table.is_figure(place) else column)
    return tuple(zip(*columns, strict=True))


def align(column: Sequence[str]) -> tuple[str, ...]:
    """Fields of one width, in which numbers end below each other, and so do their bounds."""
    parts = [_parts(field) for field in column]
    known = [part for part in parts if part is not None]
    number, mark, low, high = (
        max((cell_len(part[place]) for part in known), default=0) for place in range(4)
    )
    fields = []
    for field, part in zip(column, parts, strict=True):
        if part is None:
            fields.append(field.rjust(number) if field == NOTHING else field)
            continue
        bounds = " " * (low + high + 5) if low else ""
        if part[2]:
            bounds = f" [{part[2].rjust(low)}, {part[3].rjust(high)}]"
        fields.append(f"{part[0].rjust(number)}{part[1].ljust(mark)}{bounds}{part[4]}".rstrip())
    width = max(map(cell_len, fields), default=0)
    return tuple(field + " " * (width - cell_len(field)) for field in fields)


def _parts(field: str) -> tuple[str, str, str, str, str] | None:
    found = FIGURE.fullmatch(field)
    if found is None:
        return None
    number, mark, low, high, rest = found.groups(default="")
    return number, mark, low, high, rest


@dataclass(frozen=True)
class Column:
    """A column at its place in the table, with its width."""

    place: int
    width: int


def _blocks(table: Table, width: int) -> Iterator[list[Column]]:
    """The columns of each block."""
    natural = [_natural(table, place) for place in range(len(table.header))]
    least = [_least(table, place, width) for place in range(len(table.header))]
    names = list(range(table.names))
    blocks: list[list[int]] = [[*names]]
    for place in range(table.names, len(table.header)):
        block = [*blocks[-1], place]
        if _room([least[each] for each in block]) > width and len(blocks[-1]) > len(names):
            blocks.append([*names])
        blocks[-1].append(place)
    for block in blocks:
        widths = _shrunk([natural[each] for each in block], [least[each] for each in block], width)
        yield [Column(place, each) for place, each in zip(block, widths, strict=True)]


def _natural(table: Table, place: int) -> int:
    fields = (table.header[place], *(row[place] for row in table.rows))
    return max(map(cell_len, fields))


def _least(table: Table, place: int, width: int) -> int:
    """The least width of a column: its longest word, and a figure as a whole."""
    most = min(WORD, width // (table.names + 2))
    words = table.header[place].split()
    figures = []
    if table.is_figure(place):
        figures = [cell_len(row[place]) for row in table.rows]
    else:
        words = [*words, *(word for row in table.rows for word in row[place].split())]
    return max([1, *figures, *(min(most, cell_len(word)) for word in words)])


def _room(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _shrunk(natural: Sequence[int], least: Sequence[int], width: int) -> list[int]:
    """The widths, the widest columns first made narrower until all fit."""
    widths = [*natural]
    while _room(widths) > width:
        able = [place for place in range(len(widths)) if widths[place] > least[place]]
        if not able:
            break
        widths[max(able, key=lambda place: widths[place])] -= 1
    # A figure wider than all there is room for is broken.
    return [min(each, width) for each in widths]


def _grid(table: Table, block: Sequence[Column]) -> Grid:
    grid = Grid(
        box=RULE, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0), header_style="bold"
    )
    for column in block:
        justify: Literal["left", "right"] = "right" if table.is_figure(column.place) else "left"
        title = Text(table.header[column.place], justify=justify)
        grid.add_column(title, width=column.width, overflow="fold")
    for row in table.rows:
        grid.add_row(*(_text(table, row, column) for column in block))
    return grid


def _text(table: Table, row: Sequence[str], column: Column) -> Text:
    field = row[column.place]
    # With spaces of our own: aligned to the right, Text would lose those that align the figures.
    before = " " * (column.width - cell_len(field)) if table.is_figure(column.place) else ""
    text = Text(before + field, style=STYLES.get(field.strip(), ""))
    text.highlight_regex(MARKS, YELLOW)
    return text


def _paragraph(console: Console, words: str, mark: str = "", hanging: int = 0) -> None:
    """Words, wrapped; behind a mark, they stay right of it. hanging: what later lines are moved."""
    lead = f"{mark} " if mark else ""
    for line in Text(words).wrap(console, console.width - len(lead) - hanging):
        console.print(Text(lead) + line, no_wrap=True, crop=False)
        lead = " " * (len(mark) + 1 + hanging if mark else 0)
