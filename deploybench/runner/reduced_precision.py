"""What the backends of reduced precision share for one model: images, eager's answers, verdicts.

They are calibrated with one half of the images, and judged on the other (models/pictures.py), by
the rules of tasks/fidelity.py. With random weights, or without images, they are calibrated with
seeded inputs, and nothing is claimed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .. import batches
from ..backends.base import Backend
from ..backends.session import InProcessSession, Session
from ..batches import Batch
from ..errors import UsageError
from ..formats.base import Calibration
from ..installation import install_line
from ..machine import processor
from ..models import pictures, weights
from ..models.pictures import Picture, Pictures
from ..nested import flatten
from ..records.reduced import Reduced
from ..tasks import fidelity
from ..tasks.agreement import DIFFERENT, UNDECIDED, Agreement, Reference
from ..tasks.classification import Classification
from ..tasks.fidelity import DEFAULT_BUDGET, Budget, Fidelity

if TYPE_CHECKING:
    import numpy as np

    from .prepared_model import Artifact, PreparedModel

SEEDED_INPUTS = 32
"""How many seeded inputs calibrate a model that there are no images for."""
SAME_DB = 40.0
"""The least SQNR between a timed answer and the one that was judged, for the same input."""


@dataclass(frozen=True)
class Judging:
    """How answers of reduced precision are judged. images: a user's folder; None for the default.

    The default are crops of photographs, if the packages that have them are installed.
    """

    images: Path | None = None
    budget: Budget = DEFAULT_BUDGET

    def pictures(self, seed: int) -> Pictures | None:
        """The two halves; None if there are no images. Raises FileError for an unusable folder."""
        return pictures.of_folder(self.images, seed) if self.images else pictures.of_packages(seed)

    def made(self, found: Reduced, seed: int) -> bool:
        """Whether an earlier verdict rests on these images and this budget."""
        if found.budget != str(self.budget):
            return False
        if found.digest is None:
            return self.images is None
        drawn = self.pictures(seed)
        return drawn is not None and drawn.digest == found.digest


DEFAULT_JUDGING = Judging()


class ReducedPrecision:
    """Calibrates and judges the backends of reduced precision of one prepared model."""

    def __init__(self, prepared: PreparedModel, judging: Judging) -> None:
        self._prepared = prepared
        self._judging = judging
        self._answers: dict[str, list[Any]] = {}

    @cached_property
    def calibration(self) -> Calibration:
        """The inputs to calibrate with."""
        size = self._prepared.plan.batch_size
        if self._found is None:
            inputs = self._seeded(size * math.ceil(SEEDED_INPUTS / size))
            split = batches.split(inputs, size)
            return Calibration(lambda: iter(split), len(split), "seeded inputs")
        half = _whole_batches(self._found.calibration, size)
        return Calibration(partial(self._prepare, half), len(half) // size, self._found.source)

    def check(self, session: Session, backend: Backend) -> tuple[Agreement, Fidelity | None]:
        """The verdict on a session; no Fidelity if it is no answer at all, or has no budget.

        Outputs that are no tensors with a leading batch dimension, as a detector's, have no budget:
        they are judged as those of any other backend.
        """
        prepared, size = self._prepared, self._prepared.plan.batch_size
        outputs = [session.predict(batch) for batch in prepared.batches(size)]
        self._answers[backend.name] = outputs
        agreement = prepared.judge(session, size)
        comparable = isinstance(prepared.reference(size), Reference)
        malformed = agreement.verdict == DIFFERENT and math.isinf(agreement.error)
        if not comparable or malformed or agreement.verdict == UNDECIDED:
            return agreement, None
        found = self._judged(session)
        if found.status == fidelity.WRONG:
            return replace(agreement, verdict=DIFFERENT, reason=found.reason), None
        return replace(agreement, verdict=found.status, reason=found.reason), found

    def require_same(self, backend: Backend, output: Any, number: int) -> str:
        """What differs between a timed output and the one that was judged; empty if nothing.

        number: of the batch.
        """
        judged = flatten(self._answers[backend.name][number])
        for path, tensor in flatten(output).items():
            if path not in judged or judged[path].shape != tensor.shape:
                return "another shape than when it was judged"
            pair = tensor.double().numpy(), judged[path].double().numpy()
            equal = fidelity.sqnr_db(*pair)
            if equal is not None and not equal >= SAME_DB:
                return f"{equal:.1f} dB from the answer that was judged, for the same input"
        return ""

    def record(self, found: Fidelity, backend: Backend, artifact: Artifact | None) -> Reduced:
        """The record of a verdict, with what the runtime says that it ran."""
        example = self._prepared.example()
        work = backend.reduced_work(artifact.path, example) if artifact else None
        low, high = found.change.bounds() if found.change else (None, None)
        drawn = self._found
        return Reduced(
            backend.precision or "",
            found.status,
            found.reason,
            str(found.budget),
            **{name: getattr(found, name) for name in _SHARED},
            labelled=found.change.images if found.change else 0,
            gained=found.change.gained if found.change else 0,
            lost=found.change.lost if found.change else 0,
            change_low=low,
            change_high=high,
            source=self.calibration.source,
            calibrated_with=self.calibration.count * self._prepared.plan.batch_size,
            seed=drawn.seed if drawn else None,
            digest=drawn.digest if drawn else None,
            layers=work.layers if work else None,
            reduced_layers=work.reduced if work else None,
            time_share=work.time_share if work else None,
            cpu_units=processor.reduced_precision_units(),
        )

    def _judged(self, session: Session) -> Fidelity:
        budget = self._judging.budget
        if self._why_not or self._found is None:
            return fidelity.not_judged(self._why_not, budget)
        half = _whole_batches(self._found.judging, self._prepared.plan.batch_size)
        answered = self._logits(session, half)
        names = self._prepared.model.labels
        labels = pictures.classes(self._found, names, self._eager.shape[1])
        return fidelity.judge(answered, self._eager, budget, labels and labels[: len(half)])

    @cached_property
    def _eager(self) -> np.ndarray:
        """Eager's logits of the images to judge on: [images, classes]."""
        assert self._found is not None
        session = InProcessSession(self._prepared.module, self._prepared.plan.settings)
        half = _whole_batches(self._found.judging, self._prepared.plan.batch_size)
        return self._logits(session, half)

    def _logits(self, session: Session, half: Sequence[Picture]) -> np.ndarray:
        rows = [
            next(iter(flatten(session.predict(batch)).values())).float()
            for batch in self._prepare(half)
        ]
        return torch.cat(rows).numpy()

    def _prepare(self, half: Sequence[Picture]) -> Iterator[Batch]:
        """The pictures in batches, prepared as the model wants them, one batch after another."""
        prepared = self._prepared
        steps, settings = prepared.model.preprocessing(), prepared.plan.settings
        size, dtype = prepared.plan.batch_size, getattr(torch, settings.dtype)
        for start in range(0, len(half), size):
            rows = [steps(each.image()) for each in half[start : start + size]]
            yield batches.convert((torch.stack(rows),), dtype, channels_last=settings.channels_last)

    def _seeded(self, count: int) -> Batch:
        prepared = self._prepared
        settings = prepared.plan.settings
        given = prepared.model.arguments(prepared.module, count, prepared.plan.seed + 1)
        dtype = getattr(torch, settings.dtype)
        return batches.convert(given, dtype, channels_last=settings.channels_last)

    @cached_property
    def _found(self) -> Pictures | None:
        """The images, unless nothing could be claimed with them."""
        return None if self._why_not else self._judging.pictures(self._prepared.plan.seed)

    @cached_property
    def _why_not(self) -> str:
        """Why nothing can be claimed of this model; empty if something can."""
        prepared = self._prepared
        if not isinstance(prepared.task, Classification):
            return f"a budget is for classification, and not for {prepared.task.name}"
        chosen = weights.of_model(prepared.model, prepared.plan.weights)
        if chosen is not None and chosen.label == weights.RANDOM.label:
            return "random weights are no ground for a verdict; give --weights"
        try:
            prepared.model.preprocessing()
        except UsageError as error:
            return str(error)
        if self._judging.pictures(prepared.plan.seed) is None:
            return f"there are no images; give --images FOLDER, or {install_line('photos')}"
        return ""


_SHARED = (
    *("images", "first_equal", "five_equal", "first_least", "sqnr_db", "divergence", "step"),
    *("near_ties", "margin", "missed_margin"),
)
"""The fields that a Fidelity and its record have in common."""


def _whole_batches(half: Sequence[Picture], size: int) -> Sequence[Picture]:
    """As many of the pictures as fill batches of that size."""
    return half[: len(half) // size * size]
