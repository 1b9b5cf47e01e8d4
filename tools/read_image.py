#!/usr/bin/env python3
"""Prepares a photo for the C++ program: the article's preprocessing, as raw float32.

The shorter side of the photo is resized to 256, the central 224 x 224 pixels are cropped, and
each channel is normalised with ImageNet's mean and standard deviation. The file contains
3 x 224 x 224 little-endian float32 values, 602112 bytes, without a header. With --model, the photo
is prepared for that model instead. out.dat.preprocessing says in one line how it was prepared.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.cli._parsers import tool_parser
from deploybench.cli._read_image import EPILOG, add_arguments, main
from deploybench.command import run_command


def parser() -> argparse.ArgumentParser:
    """The command line."""
    return tool_parser("read_image", __doc__, EPILOG, add_arguments)


if __name__ == "__main__":
    sys.exit(run_command(main, parser()))
