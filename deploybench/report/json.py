"""Tables and the gate's report as JSON, for programs. Imports no torch."""

from __future__ import annotations

import json
import math

from ..analysis.interval import WIDEST, Effect
from ..analysis.regression import Cell, Report
from .tables import Table, View


def write(table: Table, view: View | None = None) -> str:
    """The data of a table."""
    return json.dumps(table.data, indent=2, allow_nan=False) + "\n"


def gate_report(report: Report, everything: bool = True, view: View | None = None) -> str:
    """Every cell in full; null if unknown, and for an interval that reaches beyond tenfold."""
    document = {
        "exit_code": report.exit_code,
        "counts": dict(report.counts),
        "differences": list(report.differences),
        "cells": [_as_object(cell) for cell in report.cells],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


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
