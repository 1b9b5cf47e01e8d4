"""The command line of tools/generate_ts.py."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import options
from ..models import references
from .export import _one_line

EPILOG = "example: {command} resnet50 'vgg*' --out ts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("model", nargs="+", help=options.MODELS.help)
    parser.add_argument(
        "--out", type=Path, default=Path("ts"), metavar="FOLDER", help="default: ts"
    )
    parser.add_argument(
        "--weights",
        metavar=options.WEIGHTS.metavar,
        help=f"{options.WEIGHTS.help} (default: random)",
    )
    parser.add_argument(
        "--device",
        metavar=options.DEVICE.metavar,
        help="the device of the weights in the file: auto, cpu, cuda or cuda:N (default: auto)",
    )


def main(arguments: argparse.Namespace) -> None:
    """Write one file per model."""
    models = references.select(",".join(arguments.model))
    source = options.WEIGHTS.value(arguments.weights)
    device = options.DEVICE.value(arguments.device)

    from ..formats.torchscript import ScriptedFile
    from ..settings import resolve_device
    from ._exporting import write_files

    device, form = resolve_device(device), ScriptedFile()
    for model in models:
        with _one_line(model.name, "TorchScript"):
            write_files([model], source, device, form, arguments.out, "ts")
