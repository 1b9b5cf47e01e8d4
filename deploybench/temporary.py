"""Temporary folders that a later run removes, if this process ends before it can.

Each folder holds a locked file as long as its process lives, whatever ends it and in whichever
container it is: a number of a process says less. Imports no torch.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType

PREFIX = "deploybench-"
OWNER = ".owner"
MEMORY = Path("/dev/shm")


class TemporaryFolder:
    """A new folder, as a context manager; `path` is removed by `close`.

    place: the folder that it is made in; None for the one of temporary files.
    """

    def __init__(self, place: Path | None = None) -> None:
        _sweep_once()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        # Under its name only when it is locked: from then on, an unlocked one is of a dead process.
        unlocked = self.path / f"{OWNER}.new"
        try:
            self._owner = unlocked.open("w")
            fcntl.flock(self._owner, fcntl.LOCK_EX)
            unlocked.rename(self.path / OWNER)
        except OSError:  # no locks, or no room: nobody will sweep it
            unlocked.unlink(missing_ok=True)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def empty(self) -> None:
        """Remove what is in the folder."""
        for path in self.path.iterdir():
            if path.name == OWNER:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        if hasattr(self, "_owner"):
            self._owner.close()


@cache
def _sweep_once() -> None:
    for place in {Path(tempfile.gettempdir()), MEMORY}:
        with suppress(OSError):
            sweep(place)


def sweep(place: Path) -> None:
    """Remove the folders in `place` that dead processes of this user left."""
    for folder in place.glob(f"{PREFIX}*"):
        with suppress(OSError):
            about = folder.lstat()
            if stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid():
                _remove_if_left(folder)


def _remove_if_left(folder: Path) -> None:
    """Raises OSError if its process lives, or if it has no owner: then its age says nothing."""
    with (folder / OWNER).open("r+") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
