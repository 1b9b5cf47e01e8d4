#!/usr/bin/env python3
"""Merges saved runs, and logs of the article, into one CSV: models by backends."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.cli._merge_perf import EPILOG, add_arguments, main
from deploybench.cli._parsers import tool_parser
from deploybench.command import run_command


def parser() -> argparse.ArgumentParser:
    """The command line."""
    return tool_parser("merge_perf", __doc__, EPILOG, add_arguments)


if __name__ == "__main__":
    sys.exit(run_command(main, parser()))
