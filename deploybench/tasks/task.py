"""What a task is: how a model's outputs are judged beyond the distance from the reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

    from .agreement import Reference


class Task:
    """Outputs that are judged by distance alone, as those of an embedding or a regression.

    name: as a Model names it. value, values: what one number of the output is called in reasons.
    """

    name: ClassVar[str] = "embedding"
    value: ClassVar[str] = "value"
    values: ClassVar[str] = "values"

    def place(self, path: str, index: tuple[int, ...]) -> str:
        """Where an element stands, in words. path: of its tensor, "" where there is only one."""
        part = f" of '{path}'" if path else ""
        return f"element {list(index)}{part}"

    def tells_nothing(self, reference: Reference) -> str:
        """Why the reference itself tells no right answer from a wrong one; empty if it does."""
        return ""

    def fault(self, output: Mapping[str, Tensor], reference: Reference) -> str:
        """What is wrong with an output whose shapes and dtypes are right; empty if nothing is."""
        return ""

    def margin(self, reference: Reference) -> float | None:
        """How many units the answer is away from another one; None where there is no such thing."""
        return None
