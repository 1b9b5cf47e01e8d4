"""Decides which runs may be pooled. Imports no torch.

Runs are pooled if their conditions are equal. Several batch sizes in one run are several
conditions. So are two versions of a package that cases ran on, and two digests of a model's
weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from .record import RunRecord

# Long enough to distinguish any two digests, and short enough for the title of a column.
SHOWN = 12


def by_batch_size(run: RunRecord) -> list[RunRecord]:
    """The run split by batch size; each part has its own condition."""
    if run.fingerprint is None or "," not in str(run.fingerprint.get("batch_size")):
        return [run]
    sizes_of_failed = [case.batch_size for case in run.failed]
    return [
        replace(
            run,
            fingerprint={**run.fingerprint, "batch_size": size},
            cases=tuple(case for case in run.cases if case.batch_size == size),
            failed=tuple(case for case in run.failed if case.batch_size == size),
        )
        for size in dict.fromkeys([case.batch_size for case in run.cases] + sizes_of_failed)
    ]


def distinguished(sides: Sequence[Sequence[RunRecord]]) -> list[list[RunRecord]]:
    """The runs, with the differing conditions of their cases added to their fingerprints.

    Only packages that a run's cases ran on count, not all that are installed: a run of PyTorch
    alone is the same before and after OpenVINO was installed. The fingerprint has None for a
    package that no case of the run used.
    """
    values: dict[str, set[str | None]] = {}
    for run in chain.from_iterable(sides):
        for name, value in _conditions_of_cases(run).items():
            values.setdefault(name, set()).add(value)
    several = [name for name, found in values.items() if len(found) > 1]
    return [[_with_conditions(run, several) for run in side] for side in sides]


def comparable(*sides: Sequence[RunRecord]) -> list[list[RunRecord]]:
    """The runs of each side as `store.load_sides` gives them: split, with all their conditions.

    Runs that were read are returned as they are; those of `deploybench.run` are not split yet.
    """
    split = [[part for run in side for part in by_batch_size(run)] for side in sides]
    return distinguished(split)


def _conditions_of_cases(run: RunRecord) -> dict[str, str | None]:
    """The versions of packages, and what else the run's cases used: weights, calibration."""
    digests = {
        f"weights of {case.model}": case.weights_digest and case.weights_digest[:SHOWN]
        for case in run.cases
    }
    reduced = {
        f"{name} of {case.model} in {case.column}": value
        for case in run.cases
        if case.reduced is not None
        for name, value in case.reduced.conditions().items()
    }
    return {**run.packages, **digests, **reduced}


def _with_conditions(run: RunRecord, names: Sequence[str]) -> RunRecord:
    if run.fingerprint is None or not names:
        return run
    known = _conditions_of_cases(run)
    return replace(
        run, fingerprint={**run.fingerprint, **{name: known.get(name) for name in names}}
    )
