"""Writing a file so that it is there whole or not at all, and stays there in a power cut."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import FileError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to, whose file takes the place of `path` in the end.

    Raises FileError where it cannot be written or is no plain file; nothing is left behind then.
    """
    # Where a link leads: the link itself is not to be replaced, nor ever a device.
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise FileError(f"{path} is no plain file; name one that may be written")
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
    """Wait until what was written to a file, or which files a folder holds, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
