"""The errors a user can cause.

Each message is one line: what was given, what is wrong with it, what to do. The plugin and the
tools print that line and nothing else; a traceback means a bug in deploybench itself.
"""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable


class DeploybenchError(Exception):
    """Base of every error whose message is meant for the user."""


class UsageError(DeploybenchError):
    """An option or argument that cannot be used."""


class FileError(DeploybenchError):
    """A file that is missing, unreadable, cut short or not what it should be."""


class BackendUnavailable(DeploybenchError):
    """A backend that this machine cannot run; the message ends with what would mend it."""


class Unsupported(BackendUnavailable):
    """What a backend cannot do on any machine, as a dtype that its runtime does not have."""


class BackendFailed(DeploybenchError):
    """A backend that broke while it exported, loaded or ran a model."""


class WrongAnswer(DeploybenchError):
    """An output that is not the reference's answer, where only a right one may be used."""


def release_frames(error: BaseException) -> None:
    """Let go of what the frames of an error, and of those behind it, hold: a model's tensors, say.

    An error that is kept for later would keep them alive, after running out of memory too.
    """
    seen: set[int] = set()
    behind: BaseException | None = error
    while behind is not None and id(behind) not in seen:
        seen.add(id(behind))
        traceback.clear_frames(behind.__traceback__)
        behind.__traceback__ = None
        behind = behind.__cause__ or behind.__context__


def unknown_name(kind: str, given: str, allowed: Iterable[str], also: str = "") -> UsageError:
    """The error for a name that does not exist, with the nearest that does.

    kind: what is named, for example "model". also: what else may be given, for the end of the line.
    """
    names = sorted(allowed)
    nearest = difflib.get_close_matches(given, names, n=1, cutoff=0.4)
    hint = f"did you mean '{nearest[0]}'? " if nearest else ""
    listed = ", ".join(names) if len(names) <= 20 else f"{len(names)} names"
    return UsageError(f"unknown {kind} '{given}': {hint}allowed: {listed}{also}")
