"""The command line of tools/read_image.py."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import UsageError
from ..files import replacing
from ..models import preparation, references

EPILOG = "example: {command} photo.jpg photo.dat"
ARTICLE = "the article"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("image", type=Path, help="any image that Pillow reads")
    parser.add_argument("out", type=Path, metavar="out.dat", help="the file to write")
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="prepare the photo for this model, named as for --models (default: as in the article)",
    )


def main(arguments: argparse.Namespace) -> None:
    """Write the file, and beside it how the photo was prepared."""
    steps, name = None, ARTICLE
    if arguments.model is not None:
        models = references.select(arguments.model)
        if len(models) != 1:
            raise UsageError(f"--model names {len(models)} models; give one")
        steps, name = models[0].preprocessing(), models[0].name

    from ..models import images

    steps = steps or images.preprocessing(224, 224)
    image = images.read_image(arguments.image, steps)
    with replacing(arguments.out) as unfinished:
        image.numpy().astype("<f4").tofile(unfinished)
    said = preparation.describe(steps, name)
    with replacing(Path(f"{arguments.out}{preparation.SUFFIX}")) as unfinished:
        unfinished.write_text(f"{said}\n", encoding="utf-8")
    print(f"{arguments.out}  {arguments.out.stat().st_size} bytes")
