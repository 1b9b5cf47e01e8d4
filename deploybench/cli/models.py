"""`deploybench models`: what `--models` may name."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .. import options
from . import _own_models, _runs
from ._subcommands import HERE

if TYPE_CHECKING:
    from ..report.tables import Table

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
    _runs.add_format(parser, output=False)


def main(arguments: argparse.Namespace) -> None:
    """Print the names, and the shapes if they are asked for."""
    spec = options.MODELS.default or "" if arguments.models is None else arguments.models
    models = _own_models.select(spec, arguments)
    sizes = {model.name: _shapes(model.batch(1)) for model in models} if arguments.sizes else {}
    if arguments.format != "text":
        _runs.show(_table([model.name for model in models], sizes), arguments)
        return
    # One name a line, without a heading, so that a shell can use them.
    width = max(len(model.name) for model in models) if sizes else 0
    for model in models:
        print(f"{model.name:<{width}}  {sizes.get(model.name, '')}".rstrip())


def _table(names: Sequence[str], sizes: Mapping[str, str]) -> Table:
    from ..report.tables import Table

    header = ["Model", *(["Input"] if sizes else [])]
    rows = [[name, *([sizes[name]] if sizes else [])] for name in names]
    data = [{"model": name, **({"input": sizes[name]} if sizes else {})} for name in names]
    return Table.of([header, *rows], words=frozenset({"Input"}), title="Models", data=data)


def _shapes(inputs: object) -> str:
    """The shape of each tensor without the batch dimension, with its path if there are several."""
    from ..nested import flatten

    return ", ".join(
        f"{path} {shape}".strip()
        for path, tensor in flatten(inputs).items()
        for shape in ["x".join(map(str, tensor.shape[1:])) or "one number"]
    )
