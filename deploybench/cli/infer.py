"""`deploybench infer`: one photo through any backend."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout
from pathlib import Path

from .. import backends, options
from ..errors import UsageError
from ..models import references, torchvision_zoo
from ..nested import flatten
from ..settings import BASELINE
from ._subcommands import DEPLOY

NAME = "infer"
SUMMARY = "Print the five most likely labels of a photo, through any backend."
GROUP = DEPLOY
EXAMPLE = "resnet50 photo.jpg --backend cpp"
EPILOG = "example: {command} resnet50 photo.jpg --backend cpp"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("model", help="a torchvision classification model")
    parser.add_argument("image", type=Path, help="any image that Pillow reads")
    parser.add_argument(
        "--backend",
        default=BASELINE,
        help=f"one of {', '.join(backends.registry())} (default: {BASELINE})",
    )
    for option in (options.WEIGHTS, options.DEVICE, options.THREADS):
        text = f"{option.help} (default: {option.default})" if option.default else option.help
        parser.add_argument(f"--{option.name}", metavar=option.metavar, help=text)


def main(arguments: argparse.Namespace) -> None:
    """Print five lines, each a label and its percentage."""
    models = references.select(arguments.model)
    chosen = backends.select(arguments.backend)
    for kind, names in (("model", models), ("backend", chosen)):
        if len(names) != 1:
            raise UsageError(f"{kind} names {len(names)} {kind}s; give one")

    from ..models import images
    from ..runner.prepared_model import Plan
    from ..runner.workbench import Workbench
    from ..settings import resolve

    image = images.read_image(arguments.image, torchvision_zoo.preprocess(models[0].name))
    plan = Plan(
        settings=resolve(
            options.DEVICE.value(arguments.device), options.THREADS.value(arguments.threads)
        ),
        weights=options.WEIGHTS.value(arguments.weights),
    )
    with (
        redirect_stdout(sys.stderr),  # what the model prints
        Workbench(plan) as bench,
        bench.case(models[0], chosen[0]) as case,
    ):
        output = case.session.predict((image.unsqueeze(0),))
    logits, *_ = flatten(output).values()
    probabilities = logits.softmax(dim=1)[0]
    if plan.weights.label == "random":
        print(
            "the weights are random, so the labels mean nothing; use --weights pretrained",
            file=sys.stderr,
        )
    labels = models[0].labels or torchvision_zoo.labels()
    if len(labels) != len(probabilities):  # a state dict may have brought another head
        labels = [f"class {index}" for index in range(len(probabilities))]
    for value, index in zip(*probabilities.topk(min(5, len(labels))), strict=True):
        print(f"{labels[index]} {100 * value:.2f}%")
