"""Compiling with Inductor, for every backend that does: a cold cache, and errors of one kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import ClassVar

from ..errors import BackendFailed


class PrivateCache:
    """Inductor's and Triton's caches in a folder that is empty at first and removed in the end.

    Compiling is then cold, as it is where a model is deployed for the first time; what torch keeps
    elsewhere, C++ headers compiled once for a machine, stays. Those that are open at the same time
    share the folder, since its name stands in the environment.
    """

    _open: ClassVar[int] = 0
    _held: ClassVar[ExitStack] = ExitStack()

    def __init__(self) -> None:
        PrivateCache._open += 1
        PrivateCache.empty()

    @classmethod
    def empty(cls) -> None:
        """Go on with an empty folder, if any is in use; what was loaded from the last one stays."""
        from torch._inductor.utils import fresh_cache

        cls._held.close()
        if cls._open:
            cls._held.enter_context(fresh_cache())

    def close(self) -> None:
        """Remove the folder, if nobody else uses it, and let others use theirs again."""
        PrivateCache._open -= 1
        PrivateCache.empty()


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
