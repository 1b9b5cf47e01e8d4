"""The parsers of the command, of its subcommands and of tools/, with their help."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from .. import __version__
from ._subcommands import GROUPS, Subcommand, subcommands
from ._terminal import has_colour

PROGRAM = "deploybench"
Formatter = type[argparse.HelpFormatter]


def formatter() -> Formatter:
    """With colour on a terminal if rich-argparse is installed; plain otherwise."""
    if not has_colour():
        return argparse.RawDescriptionHelpFormatter
    try:
        from rich_argparse import RawDescriptionRichHelpFormatter
    except ImportError:
        return argparse.RawDescriptionHelpFormatter

    class Formatter(RawDescriptionRichHelpFormatter):
        """Takes brackets in our texts for what they are, not for markup."""

        text_markup = False
        help_markup = False

    return Formatter


def program_parser() -> argparse.ArgumentParser:
    """The parser of `deploybench` itself; its help lists the subcommands by group."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} COMMAND [options]",
        description="Is a deployed PyTorch vision model still the same model, and how fast is it?",
        formatter_class=formatter(),
        epilog=f"{_listing()}\n`{PROGRAM} COMMAND --help` describes a command.",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    return parser


def _listing() -> str:
    """The subcommands by group, each with its summary and an example."""
    lines: list[str] = []
    for group in GROUPS:
        lines.append(f"{group}:")
        for each in subcommands().values():
            if group == each.GROUP:
                lines.append(f"  {each.NAME:<15} {each.SUMMARY}")
                lines.append(f"{'':18}{PROGRAM} {each.NAME} {each.EXAMPLE}".rstrip())
        lines.append("")
    return "\n".join(lines)


def subcommand_parser(subcommand: Subcommand) -> argparse.ArgumentParser:
    """The parser of one subcommand."""
    parser = argparse.ArgumentParser(**_described(subcommand), allow_abbrev=False)
    subcommand.add_arguments(parser)
    return parser


def complete_parser() -> argparse.ArgumentParser:
    """One parser of everything, for the completion of a shell."""
    parser = argparse.ArgumentParser(prog=PROGRAM)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers()
    for each in subcommands().values():
        each.add_arguments(commands.add_parser(each.NAME, help=each.SUMMARY))
    return parser


def _described(subcommand: Subcommand) -> dict[str, Any]:
    command = f"{PROGRAM} {subcommand.NAME}"
    example = f"example:\n  {command} {subcommand.EXAMPLE}".rstrip()
    epilog = subcommand.EPILOG.format(command=command) or example
    return {
        "prog": command,
        "description": subcommand.SUMMARY,
        "formatter_class": formatter(),
        "epilog": epilog,
    }


def tool_parser(
    name: str,
    description: str | None,
    epilog: str,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    formatter_class: Formatter = argparse.RawDescriptionHelpFormatter,
) -> argparse.ArgumentParser:
    """The parser of tools/NAME.py, whose help is always plain."""
    parser = argparse.ArgumentParser(
        prog=name,
        description=description,
        formatter_class=formatter_class,
        epilog=epilog.format(command=f"python tools/{name}.py"),
    )
    add_arguments(parser)
    return parser
