"""The registry of subcommands: each is a file of this package, found because it is there."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from functools import cache
from pathlib import Path
from typing import Protocol, cast

MEASURE, READ, DEPLOY, HERE = "measure", "read saved runs", "deploy", "see what there is"
GROUPS = (MEASURE, READ, DEPLOY, HERE)


class Subcommand(Protocol):
    """What a file of this package defines; importing it imports neither torch nor pandas.

    NAME: as on the command line. SUMMARY: one line. GROUP: one of GROUPS. EXAMPLE: its arguments,
    without the name. EPILOG: the end of its help, where `{command}` stands for the program and the
    subcommand. A file may also define `parse`, from its parser and the words to a Namespace.
    """

    NAME: str
    SUMMARY: str
    GROUP: str
    EXAMPLE: str
    EPILOG: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments."""

    def main(self, arguments: argparse.Namespace) -> int | None:
        """Do it; returns the exit code, None for 0."""


@cache
def subcommands() -> dict[str, Subcommand]:
    """Every subcommand by name, group by group, and by name within a group."""
    package = __name__.rpartition(".")[0]
    found = [
        cast(Subcommand, importlib.import_module(f"{package}.{entry.name}"))
        for entry in pkgutil.iter_modules([str(Path(__file__).parent)])
        if not entry.name.startswith("_")
    ]
    ordered = sorted(found, key=lambda each: (GROUPS.index(each.GROUP), each.NAME))
    return {subcommand.NAME: subcommand for subcommand in ordered}
