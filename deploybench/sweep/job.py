"""A job of a sweep: one model under one condition, measured in a process of its own."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property

Options = tuple[tuple[str, str], ...]
"""Options of `bench` by name, without the dashes, in the order of the grid."""


@dataclass(frozen=True)
class Job:
    """One model under one condition.

    model: its name. reference: what selects it, as for `--models`. condition: the options that the
    grid varies. shared: the options that all jobs have. passed: further words for `bench`. repeat:
    from 1 on.
    """

    model: str
    reference: str
    condition: Options
    shared: Options
    repeat: int
    passed: tuple[str, ...] = ()

    @cached_property
    def key(self) -> str:
        """A name for files, which differs for any two jobs that differ in anything."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:16]

    @property
    def label(self) -> str:
        """The job in words, such as `resnet18 dtype=bfloat16, run 2`."""
        return f"{self.model} {self.place}"

    @property
    def place(self) -> str:
        """The job without its model: jobs of one place become one saved run."""
        varied = " ".join(f"{name}={value}" for name, value in self.condition)
        return ", ".join(filter(None, (varied, f"run {self.repeat}")))

    @property
    def on_gpu(self) -> bool:
        """Whether the grid wants it on a GPU."""
        return dict((*self.shared, *self.condition)).get("device", "").startswith("cuda")

    def words(self) -> list[str]:
        """The arguments of `bench`."""
        options = (("models", self.reference), *self.shared, *self.condition)
        flags = {"true": [True], "false": []}  # no other option has these values
        return [
            f"--{name}" if given is True else f"--{name}={given}"
            for name, value in options
            for given in flags.get(value, [value])
        ] + list(self.passed)
