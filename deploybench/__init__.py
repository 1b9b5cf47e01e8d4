"""Is a deployed PyTorch vision model still the same model, and how fast is it here?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# Before torch, which narrows the mask that this reads.
from .machine import cpus as _cpus  # noqa: F401
from .models import Model

if TYPE_CHECKING:
    from .runner.run import run
    from .tasks import Task

__version__ = "0.3.0"
__all__ = ["Model", "Task", "__version__", "run"]


def __getattr__(name: str) -> Any:
    # A run needs torch, which takes seconds to import; naming a model does not.
    if name == "run":
        from .runner.run import run

        return run
    if name == "Task":
        from .tasks import Task

        return Task
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
