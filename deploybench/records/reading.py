"""Reads saved runs, unfinished runs, and the article's logs. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from ..errors import FileError
from . import article_log, checkpoint
from .fields import parsed
from .record import RunRecord


def read(path: Path) -> RunRecord:
    """Read a saved run, an unfinished run (a folder), or a log.

    Raises FileError for a path that cannot be read, is none of these, or contains no measurement.
    """
    run = checkpoint.read(path) if path.is_dir() else _read_file(path)
    if not run.cases:
        raise FileError(f"{path} contains no measurement; save a run that measured something")
    return run


def _read_file(path: Path) -> RunRecord:
    try:
        # A log may contain text in any encoding; an invalid name is refused later.
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    if article_log.is_log(text):
        return article_log.parse(text, path)
    try:
        content = parsed(text)
    except (ValueError, RecursionError) as error:
        why = "it is not UTF-8 text" if isinstance(error, UnicodeError) else error
        raise FileError(
            f"{path} is neither a whole saved run ({why}) nor a log (no line '#head;TITLE'); "
            "save the run again"
        ) from error
    return RunRecord.from_json(content, path)
