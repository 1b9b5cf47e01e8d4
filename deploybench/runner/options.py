"""The options of a run. Imports no torch until `settings` or `plan` is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import options
from ..models import Model
from ..models.weights import RANDOM, WeightSource
from ..tasks.fidelity import DEFAULT_BUDGET, Budget

if TYPE_CHECKING:
    from ..settings import Settings
    from ..timing.protocol import Protocol
    from .prepared_model import Plan

LATENCY = "latency"


@dataclass(frozen=True)
class RunOptions:
    """The options of a run, as `pytest --help` describes them.

    models, backends: what to measure, each model through each backend. batch_sizes: inputs per
    call; each size is a separate case. inputs: the minimum number of distinct inputs that check an
    answer. seed: of random weights and inputs. keep_artifacts: the folder to keep exported files
    in. images, budget: how backends of reduced precision are calibrated and judged; see
    runner.reduced_precision.Judging. min_rounds, max_seconds, precision, confidence: see
    timing.protocol.Protocol; None means its default.
    """

    models: Sequence[Model]
    backends: Sequence[str]
    device: str = "auto"
    weights: WeightSource = RANDOM
    batch_sizes: tuple[int, ...] = (1,)
    threads: int | None = None
    metric: str = LATENCY
    dtype: str = "float32"
    tf32: str | None = None
    allocator: str | None = None
    channels_last: bool = False
    include_copies: bool = False
    neighbours: int = 1
    cold_start: bool = False
    keep_artifacts: Path | None = None
    images: Path | None = None
    budget: Budget = DEFAULT_BUDGET
    inputs: int = 2
    seed: int = 0
    min_rounds: int | None = None
    max_seconds: float | None = None
    precision: float | None = None
    confidence: float | None = None

    def cases(self) -> list[tuple[Model, str, int]]:
        """Model, backend and batch size of every case, in the order they are measured."""
        return [
            (model, backend, size)
            for model in self.models
            for size in self.batch_sizes
            for backend in self.backends
        ]

    def given(self) -> dict[str, str | bool]:
        """The options that are not at their defaults, by name, as a user writes them.

        Models and backends are always among them; the value of a flag is True.
        """
        from ..timing.protocol import Protocol

        found: dict[str, str | bool] = {
            options.MODELS.name: options.MODELS.written(self.models),
            options.BACKENDS.name: options.BACKENDS.written(self.backends),
        }
        for option in (*options.ALL, *options.OF_A_RUN):
            if option.name not in found and (text := option.given(self)) is not None:
                found[option.name] = text
        usual = Protocol()
        for name, bound in options.BOUNDS.items():
            value = getattr(self, bound)
            if value not in (None, getattr(usual, bound)):
                found[name] = str(value)
        if self.keep_artifacts is not None:
            found["keep-artifacts"] = str(self.keep_artifacts)
        flags = (key for key in options.FLAGS if getattr(self, key, False))
        return found | {key.replace("_", "-"): True for key in flags}

    def restricted(self, cases: Sequence[tuple[Model, str, int]]) -> RunOptions:
        """The same for the models, backends and batch sizes of these cases alone."""
        models = {model.name for model, _, _ in cases}
        backends = {backend for _, backend, _ in cases}
        sizes = {size for _, _, size in cases}
        return replace(
            self,
            models=[each for each in self.models if each.name in models],
            backends=[each for each in self.backends if each in backends],
            batch_sizes=tuple(each for each in self.batch_sizes if each in sizes),
        )

    def settings(self) -> Settings:
        """The settings for torch on this machine. Raises UsageError if they are impossible."""
        from ..settings import resolve

        return resolve(
            self.device,
            self.threads,
            dtype=self.dtype,
            tf32=self.tf32,
            channels_last=self.channels_last,
            allocator=self.allocator,
        )

    def plan(self) -> Plan:
        """The plan for every model, with the first batch size if there are several."""
        from .prepared_model import Plan
        from .reduced_precision import Judging

        return Plan(
            settings=self.settings(),
            weights=self.weights,
            batch_size=self.batch_sizes[0],
            inputs=self.inputs,
            seed=self.seed,
            keep=self.keep_artifacts,
            judging=Judging(self.images, self.budget),
        )

    def protocol(self) -> Protocol:
        """How each case is measured."""
        from ..timing.protocol import Protocol

        bounds = {
            "min_rounds": self.min_rounds,
            "max_seconds": self.max_seconds,
            "precision": self.precision,
            "confidence": self.confidence,
        }
        given: dict[str, Any] = {name: bound for name, bound in bounds.items() if bound is not None}
        return Protocol(
            metric=self.metric,
            include_copies=self.include_copies,
            neighbours=self.neighbours,
            **given,
        )
