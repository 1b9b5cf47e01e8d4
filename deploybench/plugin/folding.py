"""Words folded to the width of the terminal."""

from __future__ import annotations

import os
import textwrap

import pytest

from ..errors import printable

WIDTH = 100
"""The columns of what is piped, unless COLUMNS says otherwise."""
NARROWEST = 40


def width_of(reporter: pytest.TerminalReporter) -> int:
    """The columns that may be used."""
    own = reporter.isatty or os.environ.get("COLUMNS")
    return max(NARROWEST, reporter._tw.fullwidth if own else WIDTH)


def folded(line: str, width: int, indent: str = "    ") -> str:
    """The line as several lines; words longer than a line, such as paths, stay whole."""
    return textwrap.fill(
        printable(line),
        width,
        subsequent_indent=indent,
        drop_whitespace=True,
        break_long_words=False,
        break_on_hyphens=False,
    )
