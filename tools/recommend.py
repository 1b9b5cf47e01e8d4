#!/usr/bin/env python3
"""Names the fastest backend that gave the right answer for each model, and what it costs."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.cli._parsers import tool_parser
from deploybench.cli.recommend import EPILOG, add_arguments, main
from deploybench.command import run_command


def parser() -> argparse.ArgumentParser:
    """The command line."""
    return tool_parser("recommend", __doc__, EPILOG, partial(add_arguments, like="merge_perf"))


if __name__ == "__main__":
    sys.exit(run_command(main, parser()))
