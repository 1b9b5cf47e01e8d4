"""The errors that a user can cause.

Each message is one line: what was given, what is wrong with it, what to do. The plugin and the
tools print that line and nothing else; a traceback means a bug in deploybench itself.
"""

from __future__ import annotations

import difflib
import re
import traceback
from collections.abc import Iterable

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class DeploybenchError(Exception):
    """The base of every error whose message is meant for the user."""


class UsageError(DeploybenchError):
    """An option or argument that cannot be used."""


class FileError(DeploybenchError):
    """A file that is missing, unreadable, truncated or of the wrong kind."""


class BackendUnavailable(DeploybenchError):
    """A backend that this machine cannot run; the message ends with what would fix it."""


class Unsupported(BackendUnavailable):
    """A backend that cannot do it on any machine, such as a dtype that its runtime lacks."""


class BackendFailed(DeploybenchError):
    """A backend that failed to export, load or run a model."""


class WrongAnswer(DeploybenchError):
    """An output that disagrees with the reference."""


def release_frames(error: BaseException) -> None:
    """Release the objects that the frames of an error and of its causes keep alive.

    An error that is stored would otherwise keep a model's tensors in memory.
    """
    seen: set[int] = set()
    behind: BaseException | None = error
    while behind is not None and id(behind) not in seen:
        seen.add(id(behind))
        traceback.clear_frames(behind.__traceback__)
        behind.__traceback__ = None
        behind = behind.__cause__ or behind.__context__


def unknown_name(kind: str, given: str, allowed: Iterable[str], also: str = "") -> UsageError:
    """The error for an unknown name, with the nearest known one.

    kind: what is named, for example "model". also: what else is allowed, for the end of the line.
    """
    names = sorted(allowed)
    close = difflib.get_close_matches(given, names, n=1, cutoff=0.4)
    hint = f"did you mean '{close[0]}'? " if close else ""
    listed = ", ".join(names) if len(names) <= 20 else f"{len(names)} names"
    return UsageError(f"unknown {kind} '{given}': {hint}allowed: {listed}{also}")


def nearest(given: str, known: Iterable[str]) -> str:
    """A question for the end of a message: is the nearest known name meant? Empty if none is."""
    close = difflib.get_close_matches(given, list(known), n=1, cutoff=0.4)
    return f" (did you mean '{close[0]}'?)" if close else ""


def printable(text: str) -> str:
    """`text` in one line that a terminal only prints: other characters as Python writes them.

    What a file says may hold line breaks, escape codes and marks that turn the order of letters.
    """
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def printable_lines(text: str) -> str:
    """`printable` for a text of several lines, which stay."""
    return "\n".join(map(printable, text.split("\n")))


def first_line(error: BaseException) -> str:
    """The message of an error in one line; of another library's, its type too.

    TorchScript's interpreter says what went wrong in its last line, after a traceback.
    """
    lines = _words(error).strip().splitlines() or ["no message"]
    message = lines[-1 if "TorchScript interpreter" in lines[0] else 0].strip()
    kind = f"{type(error).__name__}: "
    named = isinstance(error, DeploybenchError) or message.startswith(kind)
    return message if named else kind + message


def _words(error: BaseException) -> str:
    """The text of an error, without the colours of a terminal; an error may fail to give any."""
    try:
        text = str(error)
    except Exception:
        return ""
    plain = _COLOURS.sub("", text)
    return "".join(each if each.isprintable() or each == "\n" else " " for each in plain)
