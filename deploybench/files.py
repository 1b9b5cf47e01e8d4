"""Writes files atomically and durably: complete or not at all, even in a power cut."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import FileError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`; at the end, the file written there replaces `path`.

    Raises FileError if it cannot be written or is not a regular file; then nothing is left behind.
    """
    # Resolved, so that a link is kept and its target replaced. A device is never replaced.
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise FileError(f"{path} is not a regular file; name one that can be written")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        yield unfinished
        _to_disk(unfinished)
        unfinished.replace(path)
        _to_disk(path.parent)
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    """Wait until the contents of a file or folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
