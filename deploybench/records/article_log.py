"""Reads the logs that the article's programs print. Imports no torch.

A log is any text. `#head;TITLE` names its column, and `#MODEL;MILLISECONDS` gives a figure, where
MODEL may be a path. All other lines are ignored.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import FileError
from .kinds import is_name, is_time
from .record import CaseRecord, RunRecord


def is_log(text: str) -> bool:
    """Whether `text` is such a log."""
    return any(line.startswith("#head;") for line in text.splitlines())


def parse(text: str, path: Path) -> RunRecord:
    """The log `text`, read from `path`, as a run. Raises FileError if it has no figures."""
    column, figures = "", dict[str, float]()
    for line in text.splitlines():
        name, separator, value = line.partition(";")
        if not (line.startswith("#") and separator):
            continue
        name, value = name[1:].strip(), value.partition(";")[0].strip()
        if name == "head":
            column = value
            continue
        model = name.rpartition("/")[2].partition(".")[0]
        try:
            milliseconds = float(value)
        except ValueError as error:
            raise FileError(f"{path}: {line!r} has no figure; expected #MODEL;1.23") from error
        if not (is_name(model) and is_time(milliseconds / 1e3)):
            wrong = f"{value} ms, which is not a time" if is_name(model) else "no model name"
            raise FileError(f"{path}: {line!r} has {wrong}; expected #MODEL;1.23")
        figures[model] = milliseconds
    if not is_name(column):
        raise FileError(f"{path}: '{column}' is not a title; expected #head;TITLE")
    if not figures:
        raise FileError(f"{path} contains no figure; expected lines of the form #MODEL;1.23")
    cases = [
        CaseRecord(model, None, column, None, (milliseconds / 1e3,))
        for model, milliseconds in figures.items()
    ]
    return RunRecord(path, None, tuple(cases))
