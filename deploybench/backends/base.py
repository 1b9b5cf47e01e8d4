"""What a backend is: one way to deploy a model, from the module to a session that answers.

A backend is one file in this package. Its class says what it is called, which column it fills,
which exported format it deploys and, by its base class, which runtime runs it. It knows nothing of
statistics or pytest. Importing a backend's file must not import torch: names and titles are read
for `--help` and for collecting tests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import Unsupported
from ..formats.base import ExportedFormat
from ..settings import DTYPES, Settings
from .session import Session

if TYPE_CHECKING:
    from torch import Tensor, nn


class Backend(ABC):
    """One way to deploy a model. One instance serves a whole run.

    name: as in `--backends` and in test ids. title: of the table's column. order: the column's
    place from left to right. default: whether it is measured where no backends are named.
    format: what it exports and deploys; None where it runs the module itself.
    needs_python: whether its calls are made from Python. dtypes: those it can compute in.
    channels_last: whether that layout means anything to it. runtime_packages: those beyond
    requirements.txt that run it, by the names they are imported by. allocates_through_torch:
    whether all that it takes of a GPU comes from torch's allocator, the one that tells how much.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    order: ClassVar[int]
    default: ClassVar[bool] = False
    format: ClassVar[type[ExportedFormat] | None] = None
    needs_python: ClassVar[bool] = True
    dtypes: ClassVar[tuple[str, ...]] = DTYPES
    channels_last: ClassVar[bool] = True
    runtime_packages: ClassVar[tuple[str, ...]] = ()
    allocates_through_torch: ClassVar[bool] = True

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._format = self.format() if self.format is not None else None

    @classmethod
    def packages(cls) -> tuple[str, ...]:
        """All that it runs on beyond requirements.txt: runs with other versions do not compare."""
        return (*cls.runtime_packages, *(cls.format.packages if cls.format else ()))

    @property
    def any_batch_size(self) -> bool:
        """Whether what it deploys takes inputs of other batch sizes than the example's."""
        return self._format is None or self._format.any_batch_size

    def require_supported(self) -> None:
        """Raise Unsupported where the run's settings are nothing that it can do."""
        if self.settings.dtype not in self.dtypes:
            raise Unsupported(
                f"{self.name} has no {self.settings.dtype}: run it with --dtype "
                f"{' or '.join(self.dtypes)}"
            )
        if self.settings.channels_last and not self.channels_last:
            raise Unsupported(
                f"{self.name} chooses its own layout in memory: run it without --channels-last"
            )

    def require(self) -> None:
        """Raise BackendUnavailable, with the command that mends it, where it cannot run."""
        if self._format is not None:
            self._format.require()

    def export(
        self, module: nn.Module, example: Tensor, path: Path
    ) -> Callable[[Tensor], Any] | None:
        """Write the artifact of `module`, which takes inputs like `example`, to `path`.

        Returns the exported program as it was in memory before it was saved, where there is one.
        Raises NotImplementedError for a backend without an artifact, which is never asked.
        """
        if self._format is None:
            raise NotImplementedError(f"{self.name} has no artifact")
        return self._format.export(module, example, path)

    @abstractmethod
    def load(self, module: nn.Module, artifact: Path | None) -> Session:
        """Open a session on `artifact`, or on `module` itself for backends without an artifact."""

    def forget(self) -> None:
        """Give back what is kept of a model, none of whose programs will be called again."""
        if self._format is not None:
            self._format.forget()

    def close(self) -> None:
        """End what the backend keeps from one session to the next."""
        if self._format is not None:
            self._format.close()
