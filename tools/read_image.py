#!/usr/bin/env python3
"""Prepares a photo for the C++ program: the article's preprocessing, as raw float32.

The shorter side of the photo is resized to 256, the central 224 x 224 pixels are cropped, and
each channel is normalised with ImageNet's mean and standard deviation. The file contains
3 x 224 x 224 little-endian float32 values, 602112 bytes, without a header.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.command import run_command
from deploybench.files import replacing


def main(arguments: argparse.Namespace) -> None:
    """Write the file."""
    from deploybench.models.images import read_image

    image = read_image(arguments.image)
    with replacing(arguments.out) as unfinished:
        image.numpy().astype("<f4").tofile(unfinished)
    print(f"{arguments.out}  {arguments.out.stat().st_size} bytes")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="read_image",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python tools/read_image.py photo.jpg photo.dat",
    )
    parser.add_argument("image", type=Path, help="any image that Pillow reads")
    parser.add_argument("out", type=Path, metavar="out.dat", help="the file to write")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main, parser()))
