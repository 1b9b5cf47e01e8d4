"""Text that anyone may have written, made safe to look at. Imports no torch."""

from __future__ import annotations


def visible(text: str) -> str:
    """The text in one line; characters that cannot be seen, or turn the text around, as escapes."""
    joined = " ".join(text.split())
    if joined.isprintable():
        return joined
    return "".join(each if each.isprintable() else _escape(each) for each in joined)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
