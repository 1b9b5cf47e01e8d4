"""What a report says in words: what to ship, and what was wrong. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..analysis import recommendation, reduced_work
from ..analysis.answers import Answer
from ..analysis.cells import TIMED
from ..analysis.overview import Overview
from ..records.record import FAILED, WRONG
from . import numbers

MOST_NAMES = 6
DISTURBED = "disturbed"
UNPROVEN = "not shown to be within budget"
SLOWER = "slower than in float32"


@dataclass(frozen=True)
class Headline:
    """The answer for all models. backend: what to ship. title: what to say if it is None."""

    backend: str | None
    words: str
    title: str = "Keep eager PyTorch"


def headline(answer: Answer) -> Headline:
    """What to ship for all models, by how much, and how certain that is."""
    best, count = answer.for_all, _models(len(answer.advice))
    every = f"all {count}" if len(answer.advice) > 1 else "the model"
    if not answer.means:
        return Headline(
            None,
            "There is nothing to rely on: no backend has an undisturbed figure beside eager's.",
        )
    if best is None:
        most = max(answer.means, key=lambda mean: (mean.models, mean.speedup.ratio))
        return Headline(
            None,
            f"No backend has a right answer and a speed-up to rely on for {every}. "
            f"{most.column.title} has them for {most.models} of {most.of}, where it is "
            f"{numbers.significant(most.speedup.ratio)} times as fast as eager PyTorch.",
            "No one backend for all models" if len(answer.advice) > 1 else "Measure again",
        )
    interval = f"95% interval {numbers.interval(best.speedup)}"
    ratio = numbers.significant(best.speedup.ratio)
    if best.speedup.holds_one:
        return Headline(
            None,
            f"No backend is significantly faster over {count}. The fastest, {best.column.title}, "
            f"is {ratio} times as fast ({interval}), which may be chance.",
        )
    if best.speedup.ratio < 1:
        return Headline(None, f"Every backend is slower over {count}; the best is {ratio} times.")
    mean = "in geometric mean " if len(answer.advice) > 1 else ""
    return Headline(
        best.column.title,
        f"It is right for {every}, and {mean}{ratio} times as fast as eager PyTorch ({interval}).",
    )


def _models(count: int) -> str:
    return "1 model" if count == 1 else f"{count} models"


def summary(answer: Answer) -> str:
    """How often each backend is fastest."""
    choices = [each.choice for each in answer.advice if each.choice is not None]
    if not choices:
        return ""
    text = recommendation.summary(choices)
    return f"{text[0].upper()}{text[1:]}."


def checked(overview: Overview) -> str:
    """How many cells there are, and in which state."""
    counts = overview.counts
    unproven = sum(bool(cell.mark) for cell in overview.cells.values())
    good, bad = counts[TIMED] - unproven, counts[WRONG] + counts[FAILED]
    parts = [f"{counts[kind]} {kind}" for kind in (WRONG, FAILED) if counts[kind]]
    disturbed = sum(bool(cell.disturbed) for cell in overview.cells.values())
    found = f"{good} of {good + unproven + bad} cells gave the right answer"
    if unproven:
        found += f"; {unproven} of reduced precision not shown to be within budget"
    trouble = f"; {' and '.join(parts)}" if parts else ", and none was wrong or failed"
    mark = f". {disturbed} {'is' if disturbed == 1 else 'are'} disturbed" if disturbed else ""
    return f"{found}{trouble}{mark}."


@dataclass(frozen=True)
class Trouble:
    """Cells that are wrong, failed or disturbed for the same reason: these models in each column.

    kind: WRONG, FAILED, UNPROVEN, SLOWER or DISTURBED.
    """

    kind: str
    columns: tuple[str, ...]
    models: tuple[str, ...]
    reason: str


def several(names: Sequence[str]) -> str:
    """The names, or the first of them and how many more there are."""
    more = len(names) - MOST_NAMES
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:MOST_NAMES])} and {more} more"


def troubles(overview: Overview) -> list[Trouble]:
    """What was wrong, failed, not within budget, slower in int8, then what was disturbed."""
    columns: dict[tuple[str, str, str], list[str]] = {}
    for cell in overview.cells.values():
        kind = DISTURBED if cell.state == TIMED else cell.state
        if cell.reduced is not None and cell.mark:
            key = UNPROVEN, cell.reduced.reason, cell.model
            columns.setdefault(key, []).append(cell.column.title)
        for reason in cell.reasons:
            columns.setdefault((kind, reason, cell.model), []).append(cell.column.title)
    for each in reduced_work.slower_than_float32(overview.runs):
        columns.setdefault((SLOWER, each.reason, each.model), []).append(each.column)
    models: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (kind, reason, model), found in columns.items():
        models.setdefault((kind, reason, tuple(sorted(found))), []).append(model)
    order = (WRONG, FAILED, UNPROVEN, SLOWER, DISTURBED)
    return sorted(
        (
            Trouble(kind, found, tuple(sorted(named)), reason)
            for (kind, reason, found), named in models.items()
        ),
        key=lambda each: (order.index(each.kind), each.columns),
    )


def through(overview: Overview, trouble: Trouble) -> str:
    """The columns of a trouble; in short if it is all there are."""
    every = len(trouble.columns) == len(overview.columns) > 1
    return "all backends" if every else several(trouble.columns)
