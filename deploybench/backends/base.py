"""The base of all backends. A backend is one way to deploy a model, from the module to a session.

Each backend is one file in this package. Its class declares its name, its column, the exported
format that it deploys and, by its base class, the runtime that runs it. A backend knows nothing
about statistics or pytest. Importing its file must not import torch, because names and titles are
read for `--help` and for collecting tests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..batches import Batch
from ..errors import Unsupported
from ..formats.base import CalibratedFormat, Calibration, ExportedFormat, Origin
from ..settings import DTYPES, Settings
from .session import Session

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Observed:
    """A session that returns the values of layers after the outputs of the model.

    places: of each layer's value among all, by the name of the layer's call (formats/layers.py).
    """

    session: Session
    places: Mapping[str, int]


@dataclass(frozen=True)
class ReducedWork:
    """How much of a model runs in reduced precision, as its runtime itself reports it.

    layers: its convolutions and matrix products. reduced: how many of these compute in reduced
    precision. time_share: of the time of all kernels, what these take.
    """

    layers: int
    reduced: int
    time_share: float | None = None


class Backend(ABC):
    """One way to deploy a model. One instance serves a whole run.

    name: as in `--backends` and in test ids. title: of the table's column. order: the column's
    position from left to right. default: whether it is measured by default.
    format: the format that it exports and deploys; None if it runs the module itself.
    precision: of what it computes, if that is reduced on purpose, such as "int8"; its answers are
    then judged by a budget (runner/reduced_precision.py). needs_python: whether its calls are made
    from Python. dtypes: those it can compute in.
    channels_last: whether it supports that memory format. runtime_packages: the packages beyond
    requirements.txt that run it, by their import names. allocates_through_torch: whether all its
    GPU memory comes from torch's allocator, which is the only one that reports it. one_program:
    whether a batch of another size runs the program that is timed; if it does not, such a batch is
    no check of it.
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
    one_program: ClassVar[bool] = True
    precision: ClassVar[str | None] = None

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._format = self.format() if self.format is not None else None

    @classmethod
    def packages(cls) -> tuple[str, ...]:
        """All packages beyond requirements.txt; runs with other versions are not comparable."""
        return (*cls.runtime_packages, *(cls.format.packages if cls.format else ()))

    @classmethod
    def shows_layers(cls) -> bool:
        """Whether the values of the layers of what it deploys can be seen; see `observed`."""
        exposes = cls.format is not None and cls.format.expose is not ExportedFormat.expose
        return exposes or cls.observed is not Backend.observed

    @property
    def any_batch_size(self) -> bool:
        """Whether the deployed model takes other batch sizes than the example's."""
        return self._format is None or self._format.any_batch_size

    def require_supported(self) -> None:
        """Raise Unsupported if the backend cannot run with these settings on any machine."""
        if self.settings.dtype not in self.dtypes:
            raise Unsupported(
                f"{self.name} does not support {self.settings.dtype}: run it with --dtype "
                f"{' or '.join(self.dtypes)}"
            )
        if self.settings.channels_last and not self.channels_last:
            raise Unsupported(
                f"{self.name} chooses its own memory format: run it without --channels-last"
            )

    def require(self) -> None:
        """Raise BackendUnavailable, with the command that fixes it, if it cannot run here."""
        if self._format is not None:
            self._format.require()

    def export(
        self,
        module: nn.Module,
        example: Batch,
        path: Path,
        calibration: Calibration | None = None,
    ) -> Callable[..., Any] | None:
        """Write the artifact of `module`, which takes inputs like `example`, to `path`.

        calibration: given to a backend of reduced precision. Returns the exported program as it was
        in memory before it was saved, if there is one. Raises NotImplementedError for a backend
        without an artifact.
        """
        if self._format is None:
            raise NotImplementedError(f"{self.name} has no artifact")
        if calibration is not None and isinstance(self._format, CalibratedFormat):
            self._format.export_calibrated(module, example, path, calibration)
            return None
        return self._format.export(module, example, path)

    def reduced_work(self, artifact: Path, example: Batch) -> ReducedWork | None:
        """How much of the deployed file really runs in its `precision`; None if unknown."""
        return None

    @abstractmethod
    def load(self, module: nn.Module, artifact: Path | None) -> Session:
        """Open a session on `artifact`, or on `module` itself for backends without an artifact."""

    def observed(self, origin: Origin, artifact: Path | None, folder: Path) -> Observed:
        """Load the deployed form so that it also returns the values of its layers.

        origin: what it was exported from, with the inputs on the run's device. folder: for a file
        that does, if one must be written. Raises NotImplementedError unless `shows_layers`.
        """
        if self._format is None or artifact is None:
            raise NotImplementedError(f"the layers of {self.name} cannot be seen")
        target = folder / f"observed-{artifact.name}"
        places = self._format.expose(origin, artifact, target)
        return Observed(self.load(origin.module, target), places)

    def forget(self) -> None:
        """Free everything kept for a model; none of its programs will be called again."""
        if self._format is not None:
            self._format.forget()

    def close(self) -> None:
        """Close everything that the backend keeps between sessions."""
        if self._format is not None:
            self._format.close()
