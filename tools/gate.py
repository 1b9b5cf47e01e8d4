#!/usr/bin/env python3
"""Compares saved runs with a baseline, cell by cell, and gives an exit code for CI."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.cli._parsers import tool_parser
from deploybench.cli.gate import EPILOG, add_arguments, main
from deploybench.command import run_command


def parser() -> argparse.ArgumentParser:
    """The command line."""
    return tool_parser("gate", __doc__, EPILOG, partial(add_arguments, like="merge_perf"))


if __name__ == "__main__":
    sys.exit(run_command(main, parser()))
