"""The base of tasks, which judge a model's outputs beyond their distance from the reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

    from .agreement import Reference


class Task:
    """Outputs that are judged only by distance, such as those of an embedding or a regression.

    name: as in Model.task. value, values: what a number of the output is called in reasons.
    """

    name: ClassVar[str] = "embedding"
    value: ClassVar[str] = "value"
    values: ClassVar[str] = "values"

    def place(self, path: str, index: tuple[int, ...]) -> str:
        """The position of an element, in words. path: of its tensor, "" if there is only one."""
        part = f" of '{path}'" if path else ""
        return f"element {list(index)}{part}"

    def unusable(self, reference: Reference) -> str:
        """Why the reference cannot distinguish right from wrong answers; empty if it can."""
        return ""

    def fault(self, output: Mapping[str, Tensor], reference: Reference) -> str:
        """The fault of an output whose shapes and dtypes are right; empty if there is none."""
        return ""

    def margin(self, reference: Reference) -> float | None:
        """The distance to the nearest other answer, in units; None for tasks without a margin."""
        return None
