"""The formats of `--format`, each registered here once. Imports no torch.

Each function escapes what a run says for its own format: escape codes for a terminal, tags for a
page, bars and backticks for Markdown, formulas for a spreadsheet. Its module is imported when it is
first called, so that naming the formats takes no time.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

Writer = Callable[..., str]


def _late(module: str, name: str) -> Writer:
    """A function of a module of this package, which is not imported yet."""

    def write(*given: object) -> str:
        function: Writer = getattr(importlib.import_module(f".{module}", __package__), name)
        return function(*given)

    return write


TABLES: Mapping[str, Writer] = {
    "text": _late("terminal", "write"),
    "csv": _late("article_csv", "write"),
    "markdown": _late("markdown", "write"),
    "json": _late("json", "write"),
    "html": _late("html", "write"),
}
"""The formats of a table. Each function takes a tables.Table and a tables.View."""


def _as_table(of: Writer, write: Writer) -> Writer:
    """A format of what `of` makes a table of; both take the same further arguments."""
    return lambda found, *given: write(of(found, *given[:-1]), given[-1])


GATE: Mapping[str, Writer] = {
    **{name: _as_table(_late("rows", "table"), write) for name, write in TABLES.items()},
    "json": _late("json", "gate_report"),
    "junit": _late("junit", "gate_report"),
    "markdown": _late("markdown", "gate_report"),
}
"""The formats of the gate. Each takes its report, whether to list unchanged cells, and a View."""

EXPLANATION: Mapping[str, Writer] = {
    **{name: _as_table(_late("explanation", "table"), write) for name, write in TABLES.items()},
    "csv": _as_table(_late("explanation", "all_layers"), TABLES["csv"]),
}
"""The formats of an explanation. Each takes it, whether to list all layers, and a View."""

HISTORY: Mapping[str, Writer] = {
    **{name: _as_table(_late("history", "table"), write) for name, write in TABLES.items()},
    "csv": _late("history", "as_csv"),
    "json": _late("history", "as_json"),
    "github-action-benchmark": _late("continuous", "github_action_benchmark"),
    "bencher": _late("continuous", "bencher"),
}
"""The formats of the history. Each takes its trends and a View."""
