"""The command `deploybench`: one file for each subcommand; see `_subcommands.Subcommand`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ..command import run_command


def main(words: Sequence[str] | None = None) -> int:
    """Run the command with these words, by default those of the command line; the exit code."""
    from ..errors import unknown_name
    from . import _parsers, _subcommands

    _complete()
    name, *rest = [*(sys.argv[1:] if words is None else words)] or ["--help"]
    if name.startswith("-"):
        parser = _parsers.program_parser()
        parser.parse_args([name, *rest])
        parser.error(f"{name} comes after a command; for example: deploybench bench {name}")
    known = _subcommands.subcommands()
    if name not in known:
        print(f"{_parsers.PROGRAM}: {unknown_name('command', name, known)}", file=sys.stderr)
        return 2
    parser = _parsers.subcommand_parser(known[name])
    parse = getattr(known[name], "parse", argparse.ArgumentParser.parse_args)
    return run_command(known[name].main, parser, parse(parser, rest))


def _complete() -> None:
    """Answer a shell that asks for completions, if argcomplete is installed; then the end."""
    if "_ARGCOMPLETE" not in os.environ:
        return
    try:
        import argcomplete
    except ImportError:
        sys.exit(1)
    from ._parsers import complete_parser

    argcomplete.autocomplete(complete_parser())
