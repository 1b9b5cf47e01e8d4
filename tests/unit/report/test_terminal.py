"""A table as text: it fits the width, its figures are aligned, and it commands no terminal."""

from __future__ import annotations

import re

import pytest

from deploybench.report import terminal
from deploybench.report.tables import Section, Table, View

TITLES = [f"Backend {number} of (C++)" for number in range(16)]
WIDE = Table.of(
    [
        ["Model", *TITLES],
        ["net", *("1.52 [1.40, 1.63] ~" for _ in TITLES)],
        ["a_longer_net", *("11.5 [9.40, 11.63]* measure again" for _ in TITLES)],
    ],
    notes=("a note of many words that goes on and on and on " * 4,),
)


def lines(table: Table, width: int = 100) -> list[str]:
    return terminal.write(table, View(width)).splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_it_fits_the_width_and_every_block_names_the_rows(width):
    text = lines(WIDE, width)
    assert max(map(len, text)) <= width
    blocks = sum(line.startswith("net ") for line in text)
    assert blocks == sum(line.startswith("a_longer_net ") for line in text) > 1
    assert "\n".join(text).count("1.52 [") == len(TITLES)


def test_what_fits_is_one_block_on_one_line_a_row():
    table = Table.of([["Model", "PyTorch", "C++"], ["net", "4.00", "12.50*"], ["b", "-", "2.00"]])
    assert lines(table) == [
        "Model  PyTorch     C++",
        "----------------------",
        "net       4.00  12.50*",
        "b            -   2.00",
    ]


def test_marks_and_intervals_move_no_digit():
    column = terminal.align(["1.52 [1.40, 1.63]", "12.00 [9.00, 13.00]* ~", "-", "0.91*", "wrong"])
    assert column[:4] == (
        " 1.52  [1.40,  1.63]   ",
        "12.00  [9.00, 13.00]* ~",
        "    -                  ",
        " 0.91*                 ",
    )
    assert len(set(map(len, column))) == 1


def test_titles_fold_before_columns_go_to_a_second_block():
    titles = ["Model", *("A title of several words" for _ in range(6))]
    text = lines(Table.of([titles, ["net", *(["1.00"] * 6)]]))
    assert sum(line.startswith("net") for line in text) == 1
    assert max(map(len, text)) <= 100


def test_long_words_are_listed_below_each_once_and_wrapped():
    rows = [["Model", "Verdict", "Note"], ["a", "slower", "why " * 60], ["b", "same", "-"]]
    rows += [["c", "slower", "why " * 60]]
    table = Table.of(rows, words=frozenset({"Verdict"}), below=frozenset({"Note"}))
    text = lines(table)
    assert [line.split()[-1] for line in text[2:5]] == ["[1]", "-", "[1]"]
    assert text[6].startswith("[1] why")
    assert text[7].startswith("    why")
    assert max(map(len, text)) <= 100


def test_the_lines_of_a_section_hang():
    table = Table.of([["Model"], ["net"]], sections=(Section("why:", ("word " * 40,)),))
    text = lines(table)
    assert text[3:5] == ["", "why:"]
    assert text[5].startswith("  word")
    assert all(line.startswith("    word") for line in text[6:])


def test_colour_is_only_where_it_is_asked_for():
    rows = [["Model", "ms", "Verdict"], ["net", "4.00*", "slower"]]
    table = Table.of(rows, words=frozenset({"Verdict"}))
    coloured = terminal.write(table, View(100, colour=True))
    plain = terminal.write(table, View(100))
    assert "\x1b[31mslower" in coloured
    assert "\x1b[33m*" in coloured
    assert "\x1b" not in plain
    without = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in without.splitlines()] == plain.splitlines()


def test_what_a_run_says_is_shown_and_never_obeyed():
    hostile = "net\x1b[31m[bold]\u202e\nx"
    table = Table.of([["Model", hostile], [hostile, hostile]], notes=(hostile,), before=(hostile,))
    text = terminal.write(table, View(200, colour=True))
    assert text.count(r"net\x1b[31m[bold]\u202e\nx") == 5
    assert "\x1b[31m" not in text


def test_wide_letters_count_twice():
    table = Table.of([["Model", "ms"], ["模型", "1.00"], ["net", "2.00"]])
    assert lines(table)[2:] == ["模型   1.00", "net    2.00"]
