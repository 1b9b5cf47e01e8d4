"""Shapes of inputs as text: `3x224x224`, or `1x64x64,5` for a model with two inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor


def parse_shapes(text: str) -> Any:
    """One shape without the batch dimension, or SeveralShapes.

    Raises UsageError for anything else.
    """
    shapes = []
    for part in text.split(","):
        sizes = part.strip().split("x")
        if not all(size.isascii() and size.isdigit() and int(size) > 0 for size in sizes):
            raise UsageError(
                f"'{text}' is not a shape; give sizes without the batch dimension, for example "
                "3x224x224, or 1x64x64,5 for two inputs"
            )
        shapes.append(tuple(map(int, sizes)))
    return shapes[0] if len(shapes) == 1 else SeveralShapes(tuple(shapes))


def format_shapes(shapes: Any) -> str:
    """The text that parse_shapes reads."""
    several = shapes.shapes if isinstance(shapes, SeveralShapes) else (shapes,)
    return ",".join("x".join(map(str, shape)) for shape in several)


@dataclass(frozen=True)
class SeveralShapes:
    """The inputs of a model with several: one for each shape, as a function of count and seed."""

    shapes: tuple[tuple[int, ...], ...]

    def __call__(self, count: int, seed: int) -> tuple[Tensor, ...]:
        """`count` distinct inputs of each shape."""
        from . import images

        return tuple(
            images.of_shape(shape, count, seed + 1000 * number)
            for number, shape in enumerate(self.shapes)
        )
