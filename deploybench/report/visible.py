"""Text that anyone may have written, made safe to look at. Imports no torch."""

from __future__ import annotations

from ..errors import printable


def visible(text: str) -> str:
    """The text in one line; characters that cannot be seen, or turn the text around, as escapes."""
    return printable(" ".join(text.split()))
