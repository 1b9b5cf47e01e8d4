"""Compiling with Inductor, for every backend that does: a cold cache, and errors of one kind."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import BackendFailed

# Where Inductor keeps what it has compiled.
CACHE = "TORCHINDUCTOR_CACHE_DIR"


class PrivateCache:
    """A folder for Inductor's cache, empty at first and removed in the end.

    Compiling is then cold in every run, as it is where a model is deployed for the first time.
    """

    def __init__(self) -> None:
        self._before = os.environ.get(CACHE)
        self._folder = tempfile.mkdtemp(prefix="deploybench-inductor-")
        os.environ[CACHE] = self._folder

    def close(self) -> None:
        """Remove the folder and let others use theirs again."""
        shutil.rmtree(self._folder, ignore_errors=True)
        if os.environ.get(CACHE) == self._folder:
            os.environ.pop(CACHE)
            if self._before is not None:
                os.environ[CACHE] = self._before


@contextmanager
def one_kind_of_error() -> Iterator[None]:
    """Within it, what torch.export, Dynamo and Inductor raise becomes a BackendFailed."""
    try:
        yield
    except (RuntimeError, OSError, MemoryError):
        raise
    except Exception as error:
        first = str(error).strip().splitlines() or ["no message"]
        raise BackendFailed(f"{type(error).__name__}: {first[0]}") from error
