"""A table as a page of its own, which needs no network. Imports no torch."""

from __future__ import annotations

from . import template
from .tables import Table, View


def write(table: Table, view: View | None = None) -> str:
    """The page of a table, without its empty columns."""
    return template.render("table.html", table=table.without_empty())
