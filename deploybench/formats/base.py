"""What an exported format is: one kind of file that a model can be deployed as."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from torch import Tensor, nn


class ExportedFormat(ABC):
    """A kind of file, and how it is written. Importing a format's file imports no torch.

    suffix: of the file's name, after the model's; backends of one format share one file, exported
    once per model. any_batch_size: whether the file takes inputs of other batch sizes than the
    example's. positional_outputs: whether outputs come out in order alone, without the nesting and
    the names that the module gives them. packages: those beyond requirements.txt that writing it
    needs, by the names they are imported by.
    """

    suffix: ClassVar[str]
    any_batch_size: ClassVar[bool] = True
    positional_outputs: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ()

    def require(self) -> None:  # noqa: B027 - most formats need torch alone
        """Raise BackendUnavailable, with the command that mends it, where none can be written."""

    @abstractmethod
    def export(
        self, module: nn.Module, example: Tensor, path: Path
    ) -> Callable[[Tensor], Any] | None:
        """Write the file of `module`, which takes inputs like `example`, to `path`.

        Returns the exported program as it was in memory before it was saved, where there is one.
        `module` must be left as it is.
        """

    def forget(self) -> None:  # noqa: B027 - most formats keep nothing of a model
        """Give back what is kept of a model, none of whose programs will be called again."""

    def close(self) -> None:  # noqa: B027 - most formats hold nothing between exports
        """End what the format keeps from one export to the next."""
