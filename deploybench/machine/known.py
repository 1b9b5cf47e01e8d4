"""What cannot be read of a machine is unknown. Imports nothing else of the package."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
Unknown = TypeVar("Unknown")


def known(read: Callable[..., Found], otherwise: Unknown, *given: object) -> Found | Unknown:
    """What `read(*given)` returns; `otherwise` if it raises.

    Any exception counts: a container, a virtual machine or a driver may refuse a sensor in a way
    that no library foresees (psutil raises FileNotFoundError, NotImplementedError and TypeError),
    and a description of the machine must not end a run.
    """
    try:
        return read(*given)
    except Exception:
        return otherwise
