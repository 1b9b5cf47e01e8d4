"""`deploybench export`: the file that a backend would deploy."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import backends, options
from ..errors import BackendFailed, DeploybenchError, first_line, unknown_name
from ..formats.base import CalibratedFormat, ExportedFormat
from . import _own_models
from ._subcommands import DEPLOY

NAME = "export"
SUMMARY = "Export models to files: TorchScript, ONNX, AOTInductor."
GROUP = DEPLOY
EXAMPLE = "resnet50 --format onnx"
EPILOG = """\
examples:
  {command} resnet50 'vgg*' --out exported
  {command} resnet50 --format onnx --batch-size 8

The files are named MODEL.SUFFIX. A format that fixes the shape of its inputs, such as
onnx and aotinductor, takes the batch size that it was exported with."""

ALIASES = {"torchscript": "scripted", "aotinductor": "aoti", "executorch": "pte"}
"""What people call some formats, by what their file names say."""


def formats() -> dict[str, type[ExportedFormat]]:
    """The format of every backend that has one, by name, but those that need calibration."""
    found = {
        backend.format.suffix.partition(".")[0]: backend.format
        for backend in backends.registry().values()
        if backend.format is not None and not issubclass(backend.format, CalibratedFormat)
    }
    names = {short: name for name, short in ALIASES.items()}
    return {names.get(short, short): form for short, form in found.items()}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("model", nargs="+", help=options.MODELS.help)
    parser.add_argument(
        "--format",
        default="torchscript",
        metavar="NAME",
        help=f"one of {', '.join(formats())} (default: torchscript)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("exported"),
        metavar="FOLDER",
        help="where the files go (default: exported)",
    )
    parser.add_argument(
        "--batch-size", default="1", metavar="N", help="inputs of the example (default: 1)"
    )
    for option in (options.WEIGHTS, options.DEVICE):
        text = f"{option.help} (default: {option.default})"
        parser.add_argument(f"--{option.name}", metavar=option.metavar, help=text)
    _own_models.add_arguments(parser)


def main(arguments: argparse.Namespace) -> None:
    """Write one file per model."""
    known = formats()
    if arguments.format not in known:
        raise unknown_name("format", arguments.format, known)
    batch_size = options.positive("--batch-size")(arguments.batch_size)
    models = _own_models.select(",".join(arguments.model), arguments)
    source = options.WEIGHTS.value(arguments.weights)
    device = options.DEVICE.value(arguments.device)

    from ..settings import resolve_device
    from ._exporting import write_files

    device = resolve_device(device)
    form = known[arguments.format]()
    form.require()
    try:
        for model in models:
            with _one_line(model.name, arguments.format):
                write_files([model], source, device, form, arguments.out, form.suffix, batch_size)
    finally:
        form.close()


@contextmanager
def _one_line(model: str, form: str) -> Iterator[None]:
    """A context in which what a library raises is the user's error: not every model exports."""
    try:
        yield
    except (DeploybenchError, OSError):
        raise
    except Exception as error:
        raise BackendFailed(f"{model} does not export to {form}: {first_line(error)}") from error
