"""The base of exported formats: the kinds of files that a model can be deployed as."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..batches import Batch
from ..installation import require_packages

if TYPE_CHECKING:
    from torch import nn


def write(path: Path, content: bytes | memoryview) -> None:
    """Write an exported file; if there is no room for it, nothing of it is left.

    Raises OSError, which names the file.
    """
    try:
        with path.open("wb") as file:
            file.write(content)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error


@dataclass(frozen=True)
class Calibration:
    """The inputs that a file of reduced precision is calibrated with.

    batches: gives them anew at each call, like the example of the export, on the CPU. count: how
    many batches there are. source: what they are, in words.
    """

    batches: Callable[[], Iterator[Batch]]
    count: int
    source: str


@dataclass(frozen=True)
class Origin:
    """What a file was exported from: a module, inputs like `example`, and what calibrated it."""

    module: nn.Module
    example: Batch
    calibration: Calibration | None = None


class ExportedFormat(ABC):
    """A kind of file, and how to write it. Importing a format's file imports no torch.

    suffix: of the file's name, after the model's name; backends of one format share one file, which
    is exported once per model. any_batch_size: whether the file takes other batch sizes than the
    example's. positional_outputs: whether outputs are only ordered, without the nesting and names
    that the module gives them. packages: the packages beyond requirements.txt that writing it
    needs, by their import names. extra: the extra that installs them.
    """

    suffix: ClassVar[str]
    any_batch_size: ClassVar[bool] = True
    positional_outputs: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""

    def require(self) -> None:
        """Raise BackendUnavailable, with the command that fixes it, if it cannot be written."""
        require_packages(self.packages, self.extra)

    @abstractmethod
    def export(self, module: nn.Module, example: Batch, path: Path) -> Callable[..., Any] | None:
        """Write the file of `module`, which takes inputs like `example`, to `path`.

        Returns the exported program as it was in memory before it was saved, if there is one. The
        export must not change `module`.
        """

    def expose(self, origin: Origin, artifact: Path, target: Path) -> dict[str, int]:
        """Write `artifact` again, to `target`, so that it also returns the values of its layers.

        origin: what it was exported from, for a format that must export once more. Returns the
        place of each layer's value among the outputs, by the name of the layer's call; see
        layers.py. The outputs of the model come first. Raises NotImplementedError for a format
        whose layers cannot be seen.
        """
        raise NotImplementedError(f"the layers of a file of {self.suffix} cannot be seen")

    def forget(self) -> None:  # noqa: B027 - most formats keep nothing for a model
        """Free everything kept for a model; none of its programs will be called again."""

    def close(self) -> None:  # noqa: B027 - most formats keep nothing between exports
        """Close everything that the format keeps between exports."""


class CalibratedFormat(ExportedFormat):
    """A format of reduced precision, whose export looks at the values within the model."""

    def export(self, module: nn.Module, example: Batch, path: Path) -> Callable[..., Any] | None:
        """Raise NotImplementedError: without inputs to calibrate with, there is no such file."""
        raise NotImplementedError(f"a {self.suffix} file needs inputs to calibrate with")

    @abstractmethod
    def export_calibrated(
        self, module: nn.Module, example: Batch, path: Path, calibration: Calibration
    ) -> None:
        """Write the file of `module`, as `export` does, calibrated with these inputs."""
