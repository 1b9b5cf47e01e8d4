"""How wide the output is, and whether it has colour."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING

from ..errors import printable

if TYPE_CHECKING:
    from pathlib import Path

    from ..report.tables import View

WIDTH = 100
"""The columns of what is piped, unless COLUMNS says otherwise."""


def width() -> int:
    """The columns of the terminal."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return shutil.get_terminal_size((WIDTH, 24)).columns
    return WIDTH


def folded(line: str, indent: str = "    ") -> str:
    """The line folded to the width; words longer than that, such as paths, stay whole."""
    return textwrap.fill(
        printable(line),
        width(),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def has_colour() -> bool:
    """Whether to use colour: on a terminal, or where FORCE_COLOR is set, but never with NO_COLOR.

    See https://no-color.org and https://force-color.org: both count if they are not empty.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    # None: the caller closed it.
    return sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def view(output: Path | None = None) -> View:
    """How text is shown. output: the file that it goes to, which never gets colour."""
    from ..report.tables import View

    return View(width(), has_colour() if output is None else False)
