#!/usr/bin/env python3
"""Checks every model through every backend and writes a page of which give the right answer."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.cli._parsers import tool_parser
from deploybench.cli.support import EPILOG, add_arguments, main
from deploybench.command import run_command


def parser() -> argparse.ArgumentParser:
    """The command line."""
    return tool_parser("support", __doc__, EPILOG, partial(add_arguments, callables=False))


if __name__ == "__main__":
    sys.exit(run_command(main, parser()))
