"""The base of tasks, which judge a model's outputs beyond their distance from the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..nested import concatenate
from .reference import Reference

if TYPE_CHECKING:
    from torch import Tensor

    from .agreement import Agreement


class Task:
    """Outputs that are judged only by distance, such as those of an embedding or a regression.

    A task of your own is a subclass, and an object of it is the `task` of a Model. Most need only
    `fault`, which gets outputs whose shapes, dtypes and finite numbers were checked. A task whose
    outputs are not tensors with a leading batch dimension overrides `join`, `reference`, `rows` and
    `judge` together, as in detection.py.

    name: as in Model.task. value, values: what a number of the output is called in reasons.
    """

    name: ClassVar[str] = "embedding"
    value: ClassVar[str] = "value"
    values: ClassVar[str] = "values"

    def join(self, outputs: Sequence[Any]) -> Any:
        """The outputs of several batches as one output."""
        return concatenate(outputs)

    def reference(self, expected: Any, eager: Any, tolerance: float | None = None) -> Any:
        """What `judge` compares with: made of the joined outputs of float64 and of eager.

        tolerance: the largest distance that is allowed; None for ERROR_LIMIT times eager's own.
        """
        return Reference.of(expected, eager, tolerance)

    def rows(self, reference: Any, rows: slice) -> Any:
        """The reference of some inputs, with the units of all inputs."""
        return reference.rows(rows)

    def judge(self, output: Any, reference: Any) -> Agreement:
        """The verdict on an output, on the CPU."""
        from .agreement import judge

        return judge(output, reference, self)

    def words(self, reference: Reference) -> tuple[str, str]:
        """What a number of the output is called in reasons, and several of them."""
        return self.value, self.values

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
