"""The command line of tools/read_image.py."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..files import replacing

EPILOG = "example: {command} photo.jpg photo.dat"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("image", type=Path, help="any image that Pillow reads")
    parser.add_argument("out", type=Path, metavar="out.dat", help="the file to write")


def main(arguments: argparse.Namespace) -> None:
    """Write the file."""
    from ..models.images import read_image

    image = read_image(arguments.image)
    with replacing(arguments.out) as unfinished:
        image.numpy().astype("<f4").tofile(unfinished)
    print(f"{arguments.out}  {arguments.out.stat().st_size} bytes")
