"""The formats of the gate's report, by the names that `--format` takes. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable

from ..analysis.regression import Report
from . import json, junit, markdown, text

FORMATS: dict[str, Callable[[Report, bool], str]] = {
    "text": text.gate_report,
    "json": json.gate_report,
    "junit": junit.gate_report,
    "markdown": markdown.gate_report,
}
"""Each function takes the report, and whether to list unchanged cells too."""
