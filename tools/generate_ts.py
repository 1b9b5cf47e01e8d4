#!/usr/bin/env python3
"""Exports torchvision models to TorchScript files named MODEL.ts."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench import options
from deploybench.command import run_command
from deploybench.files import replacing
from deploybench.models import references


def main(arguments: argparse.Namespace) -> None:
    """Write one file per model."""
    models = references.select(",".join(arguments.model))
    source = options.WEIGHTS.value(arguments.weights)
    device = options.DEVICE.value(arguments.device)

    from deploybench.backends.scripted import Scripted
    from deploybench.models import weights
    from deploybench.settings import resolve

    backend = Scripted(resolve(device))
    arguments.out.mkdir(parents=True, exist_ok=True)
    for model in models:
        module = model.built()
        weights.apply(module, model, source)
        example = model.arguments(module, 1)
        path = arguments.out / f"{model.file_stem}.ts"
        with replacing(path) as unfinished:
            backend.export(module.to(backend.settings.device), example, unfinished)
        print(f"{path}  {path.stat().st_size / 2**20:.1f} MiB")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="generate_ts",
        description=__doc__,
        epilog="example: python tools/generate_ts.py resnet50 'vgg*' --out ts",
    )
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
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main, parser()))
