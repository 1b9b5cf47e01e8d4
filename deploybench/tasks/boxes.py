"""What detectors return: boxes of varying number, read from any nesting and matched by overlap."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..nested import flatten

if TYPE_CHECKING:
    from torch import Tensor

BOXES, SCORES, LABELS = "boxes", "scores", "labels"
SAME = 0.5
"""The overlap from which two boxes can be the same."""
COINCIDE = 1e-4
"""The distance of two boxes that count as the same whatever their area, as a share of the largest
coordinate: a box without an area has no overlap."""

Found = Mapping[str, "Tensor"]
"""What was found in one input: by name, tensors with a row for each box."""


def per_input(output: Any) -> list[Found]:
    """What was found in each input.

    output: a list of dicts, or a dict of all their tensors by path, as from the C++ process. Raises
    TypeError for anything else.
    """
    if isinstance(output, list | tuple) and not output:
        return []
    grouped: dict[int, dict[str, Tensor]] = {}
    for path, tensor in flatten(output).items():
        parts = re.fullmatch(r"(?:.*\.)?(\d+)\.(\w+)", path)
        if parts is None:
            raise TypeError(
                f"a detector returns a dict with boxes, scores and labels for each input, not "
                f"'{path}'"
            )
        grouped.setdefault(int(parts[1]), {})[parts[2]] = tensor
    found: list[Found] = [grouped[index] for index in sorted(grouped)]
    for index, each in enumerate(found):
        _require_detections(each, index)
    return found


def _require_detections(found: Found, index: int) -> None:
    for name in (BOXES, SCORES, LABELS):
        if name not in found:
            listed = ", ".join(found)
            raise TypeError(f"the detections of input {index} have no '{name}' but {listed}")
    boxes = found[BOXES]
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise TypeError(f"the boxes of input {index} have shape {list(boxes.shape)}, not [k, 4]")
    for name, tensor in found.items():
        if tensor.ndim == 0 or len(tensor) != len(boxes):
            raise TypeError(
                f"input {index} has {len(boxes)} boxes, but '{name}' has shape {list(tensor.shape)}"
            )


def overlap(one: Found, other: Found) -> Tensor:
    """The intersection over union of each box with each: float64 [boxes of one, of other]."""
    import torch
    from torchvision.ops import box_iou

    left, right = one[BOXES].double(), other[BOXES].double()
    shares = box_iou(left, right).nan_to_num(0.0)
    largest = max((each.abs().max().item() for each in (left, right) if each.numel()), default=0.0)
    distance = (left[:, None] - right[None]).abs().amax(-1)
    return torch.where(distance <= COINCIDE * largest, 1.0, shares)


def match(one: Found, other: Found) -> tuple[list[int], list[int]]:
    """The pairs of boxes that are the same, as the rows of `one` and those of `other`.

    The pairs have the largest overlap in total. Among boxes in one place, which differ by label or
    score, those of the same label and of similar scores are pairs.
    """
    from scipy.optimize import linear_sum_assignment

    if not len(one[BOXES]) or not len(other[BOXES]):
        return [], []
    shares = overlap(one, other)
    same = (one[LABELS][:, None] == other[LABELS][None]).double()
    apart = (one[SCORES].double()[:, None] - other[SCORES].double()[None]).abs().nan_to_num(1.0)
    likeness = shares + same - apart.clamp(max=1.0)
    # Boxes that cannot be pairs must not be worth anything, or they would take others' places.
    likeness[shares < SAME] = 0.0
    rows, columns = linear_sum_assignment(likeness.numpy(), maximize=True)
    pairs = [
        (int(row), int(column))
        for row, column in zip(rows, columns, strict=True)
        if shares[row, column] >= SAME
    ]
    return [row for row, _ in pairs], [column for _, column in pairs]


def matched(
    ones: Sequence[Found], others: Sequence[Found], pairs: Sequence[tuple[list[int], list[int]]]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors of all pairs, row by row, of `ones` and of `others`."""
    import torch

    names = list(ones[0]) if ones else []

    def joined(found: Sequence[Found], side: int) -> dict[str, Tensor]:
        return {
            name: torch.cat(
                [each[name][pair[side]] for each, pair in zip(found, pairs, strict=True)]
            )
            for name in names
        }

    return joined(ones, 0), joined(others, 1)


def unmatched(count: int, paired: Sequence[int]) -> list[int]:
    """The rows of `count` boxes that are in no pair."""
    return sorted(set(range(count)) - set(paired))


def only(found: Found, rows: Sequence[int]) -> Found:
    """Some boxes of those found in an input."""
    return {name: tensor[list(rows)] for name, tensor in found.items()}
