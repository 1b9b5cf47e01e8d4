"""Shared parts of all that compiles with Inductor: a cold cache, and uniform errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import ClassVar

from ..errors import BackendFailed
from ..temporary import TemporaryFolder
from . import kept_graphs


class PrivateCache:
    """Inductor's and Triton's caches in a folder that is empty at first and removed at the end.

    So compiling is cold, as when a model is deployed for the first time. Precompiled C++ headers,
    which torch keeps elsewhere, stay. Caches that are open at the same time share the folder,
    because its name is in the environment.
    """

    _open: ClassVar[int] = 0
    _held: ClassVar[ExitStack] = ExitStack()

    def __init__(self) -> None:
        PrivateCache._open += 1
        PrivateCache.empty()

    @classmethod
    def empty(cls) -> None:
        """Switch to an empty folder, if one is in use; code loaded from the last one stays."""
        from torch._inductor.utils import fresh_cache

        cls._held.close()
        kept_graphs.of_inductor()
        if cls._open:
            # In a folder of ours, which the next run removes if this one is killed.
            place = cls._held.enter_context(TemporaryFolder())
            cls._held.enter_context(fresh_cache(dir=str(place)))

    def close(self) -> None:
        """Stop using the folder; remove it if no other cache uses it."""
        PrivateCache._open -= 1
        PrivateCache.empty()


@contextmanager
def one_kind_of_error() -> Iterator[None]:
    """A context in which errors of torch.export, Dynamo and Inductor become BackendFailed."""
    try:
        yield
    except (RuntimeError, OSError, MemoryError):
        raise
    except Exception as error:
        first = str(error).strip().splitlines() or ["no message"]
        raise BackendFailed(f"{type(error).__name__}: {first[0]}") from error
