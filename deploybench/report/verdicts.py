"""A verdict as people and machines read it: text, JSON, JUnit's XML, markdown. Imports no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from xml.etree import ElementTree

from ..analysis.interval import WIDEST, Effect
from ..analysis.regression import (
    MISSING,
    NOT_COMPARABLE,
    SAME,
    SLOWER,
    VERDICTS,
    WRONG,
    Cell,
    Report,
)
from ..analysis.table import layout

HEADER = ["Model", "Backend", "Baseline", "Candidate", "Effect", "Verdict", "Note"]
FAILURES = (SLOWER, MISSING, WRONG, NOT_COMPARABLE)


def text(report: Report, everything: bool = False) -> str:
    """A table of what is not the same, or of `everything`, and the counts."""
    shown = [cell for cell in report.cells if everything or cell.verdict != SAME]
    lines = [f"not comparable, since these differ: {each}\n" for each in report.differences]
    if shown:
        lines += [layout([HEADER, *map(_row, shown)]), "\n"]
    return "".join([*lines, f"{counts(report)}\n"])


def markdown(report: Report, everything: bool = False) -> str:
    """The counts, then the same table, for a pull request."""
    shown = [cell for cell in report.cells if everything or cell.verdict != SAME]
    lines = [f"**{counts(report)}**", ""]
    lines += [f"Not comparable, since these differ: `{each}`\n" for each in report.differences]
    if shown:
        lines += [_markdown_row(HEADER), _markdown_row(["---"] * len(HEADER))]
        lines += [_markdown_row(_row(cell)) for cell in shown]
    return "\n".join(lines) + "\n"


def counts(report: Report) -> str:
    """How many cells got each verdict, the worst first."""
    found = report.counts
    parts = [f"{found[verdict]} {verdict}" for verdict in VERDICTS if found[verdict]]
    return f"{len(report.cells)} cells: {', '.join(parts) or 'none'}"


def as_json(report: Report, everything: bool = True) -> str:
    """Everything that is known, with null for what is not, and for an interval beyond tenfold."""
    document = {
        "exit_code": report.exit_code,
        "counts": dict(report.counts),
        "differences": list(report.differences),
        "cells": [_as_object(cell) for cell in report.cells],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def junit(report: Report, everything: bool = True) -> str:
    """A test case for each cell; slower, missing, wrong and not comparable are failures."""
    failures = [cell for cell in report.cells if cell.verdict in FAILURES]
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        name="deploybench.gate",
        tests=str(len(report.cells)),
        failures=str(len(failures)),
    )
    for cell in report.cells:
        case = ElementTree.SubElement(suite, "testcase", classname=cell.column, name=cell.model)
        effect = [str(cell.effect)] if cell.effect is not None else []
        words = " ".join(filter(None, (cell.verdict, *effect, cell.note)))
        if cell.verdict in FAILURES:
            ElementTree.SubElement(case, "failure", message=_printable(words))
        else:
            ElementTree.SubElement(case, "system-out").text = _printable(words)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


FORMATS: dict[str, Callable[[Report, bool], str]] = {
    "text": text,
    "json": as_json,
    "junit": junit,
    "markdown": markdown,
}


def _row(cell: Cell) -> list[str]:
    figures = [_milliseconds(each) for each in (cell.baseline, cell.candidate)]
    return [cell.model, cell.column, *figures, _effect(cell), cell.verdict, cell.note or "-"]


def _milliseconds(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.2f} ms"


def _effect(cell: Cell) -> str:
    return "-" if cell.effect is None else str(cell.effect)


def _markdown_row(fields: Iterable[str]) -> str:
    return f"| {' | '.join(field.replace('|', chr(92) + '|') for field in fields)} |"


def _printable(words: str) -> str:
    # XML has no place for control characters, not even escaped.
    return "".join(character if character.isprintable() else " " for character in words)


def _as_object(cell: Cell) -> dict[str, object]:
    effect = cell.effect
    return {
        "model": cell.model,
        "column": cell.column,
        "verdict": cell.verdict,
        "baseline_ms": cell.baseline,
        "candidate_ms": cell.candidate,
        "change": None if effect is None else math.expm1(effect.estimate),
        "interval": None if effect is None else _interval(effect),
        "runs": None if effect is None else list(effect.runs),
        "tolerance": cell.tolerance,
        "beside": list(cell.beside),
        "note": cell.note,
    }


def _interval(effect: Effect) -> list[float] | None:
    known = effect.high <= WIDEST
    return [math.expm1(bound) for bound in (effect.low, effect.high)] if known else None
