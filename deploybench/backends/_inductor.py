"""Compiling with Inductor, for every backend that does: a cold cache, and errors of one kind."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from ..errors import BackendFailed

# Where Inductor keeps what it has compiled.
CACHE = "TORCHINDUCTOR_CACHE_DIR"


class PrivateCache:
    """A folder for Inductor's cache, empty at first and removed in the end.

    Compiling is then cold in every run, as it is where a model is deployed for the first time.
    Those that are open at the same time share it, since its name stands in the environment.
    """

    _open: ClassVar[int] = 0
    _folder: ClassVar[str] = ""
    _before: ClassVar[str | None] = None

    def __init__(self) -> None:
        cls = type(self)
        if cls._open == 0:
            cls._before = os.environ.get(CACHE)
            cls._folder = tempfile.mkdtemp(prefix="deploybench-inductor-")
            os.environ[CACHE] = cls._folder
        cls._open += 1

    def close(self) -> None:
        """Remove the folder, if nobody else uses it, and let others use theirs again."""
        cls = type(self)
        cls._open -= 1
        if cls._open:
            return
        shutil.rmtree(cls._folder, ignore_errors=True)
        os.environ.pop(CACHE, None)
        if cls._before is not None:
            os.environ[CACHE] = cls._before


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
