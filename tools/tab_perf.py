#!/usr/bin/env python3
"""Prints a CSV file of merge_perf as a text table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.cli._parsers import tool_parser
from deploybench.cli._tab_perf import EPILOG, add_arguments, main
from deploybench.command import run_command


def parser() -> argparse.ArgumentParser:
    """The command line."""
    return tool_parser("tab_perf", __doc__, EPILOG, add_arguments)


if __name__ == "__main__":
    sys.exit(run_command(main, parser()))
