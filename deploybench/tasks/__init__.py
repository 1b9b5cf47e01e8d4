"""Judges whether two outputs agree: the distance of any tensors, and rules for each task."""

from __future__ import annotations

from ..errors import unknown_name
from .classification import Classification
from .detection import Detection
from .segmentation import Segmentation
from .task import Task

TASKS: dict[str, type[Task]] = {
    each.name: each for each in (Classification, Segmentation, Detection, Task)
}


def find(task: str | Task) -> Task:
    """The task of that name, or the task itself. Raises UsageError for an unknown name."""
    if isinstance(task, Task):
        return task
    if task not in TASKS:
        raise unknown_name("task", task, TASKS, ", or your own Task object")
    return TASKS[task]()
