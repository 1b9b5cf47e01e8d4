"""`deploybench models`: what `--models` may name."""

from __future__ import annotations

import argparse

from .. import options
from . import _own_models
from ._subcommands import HERE

NAME = "models"
SUMMARY = "List the models that --models names."
GROUP = HERE
EXAMPLE = "--models 'resnet*' --sizes"
EPILOG = """\
examples:
  {command}                           the default: the 31 models of the article
  {command} --models all
  {command} --models 'resnet*,vgg11' --sizes

One name a line."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    option = options.MODELS
    text = f"{option.help} (default: {option.default})"
    parser.add_argument(f"--{option.name}", metavar=option.metavar, help=text)
    _own_models.add_arguments(parser)
    parser.add_argument(
        "--sizes", action="store_true", help="also the shape of one input; this imports PyTorch"
    )


def main(arguments: argparse.Namespace) -> None:
    """Print the names, and the shapes if they are asked for."""
    spec = options.MODELS.default or "" if arguments.models is None else arguments.models
    models = _own_models.select(spec, arguments)
    if not arguments.sizes:
        print("\n".join(model.name for model in models))
        return
    width = max(len(model.name) for model in models)
    for model in models:
        print(f"{model.name:<{width}}  {_shapes(model.batch(1))}")


def _shapes(inputs: object) -> str:
    """The shape of each tensor without the batch dimension, with its path if there are several."""
    from ..nested import flatten

    return ", ".join(
        f"{path} {shape}".strip()
        for path, tensor in flatten(inputs).items()
        for shape in ["x".join(map(str, tensor.shape[1:])) or "one number"]
    )
