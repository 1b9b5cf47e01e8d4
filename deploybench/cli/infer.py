"""`deploybench infer`: one photo through any backend."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from .. import backends, options
from ..errors import UsageError, printable
from ..models import Model, labels, preparation, torchvision_zoo, weights, zoos
from ..nested import flatten
from ..settings import BASELINE
from . import _own_models
from ._subcommands import DEPLOY

if TYPE_CHECKING:
    from torch import Tensor

NAME = "infer"
SUMMARY = "Print the five most likely labels of a photo, through any backend."
GROUP = DEPLOY
EXAMPLE = "resnet50 photo.jpg --backend cpp"
FEWEST_FOR_NOTE = 10
"""Of fewer classes, an unsure model says about the same."""
FLAT = (
    "all classes have nearly the same percentage, as after a softmax of a softmax or of a sigmoid: "
    "check the last layer of the model"
)
INDEPENDENT = (
    "all outputs are between 0 and 1 and do not sum to 1, as after a sigmoid for each label: what "
    "follows is their softmax"
)
EPILOG = "example: {command} resnet50 photo.jpg --backend cpp"


def add_arguments(parser: argparse.ArgumentParser, callables: bool = True) -> None:
    """Add the arguments. callables: also the options of models that are callables."""
    kind = (
        "a classifier, named as for --models" if callables else "a torchvision classification model"
    )
    parser.add_argument("model", help=kind)
    parser.add_argument("image", type=Path, help="any image that Pillow reads")
    parser.add_argument(
        "--backend",
        default=BASELINE,
        help=f"one of {', '.join(backends.registry())} (default: {BASELINE})",
    )
    for option in (options.WEIGHTS, options.DEVICE, options.THREADS):
        text = f"{option.help} (default: {option.default})" if option.default else option.help
        parser.add_argument(f"--{option.name}", metavar=option.metavar, help=text)
    if callables:
        _own_models.add_arguments(parser)


def main(arguments: argparse.Namespace) -> None:
    """Print five lines, each a label and its percentage."""
    models = _own_models.select(arguments.model, arguments)
    chosen = backends.select(arguments.backend)
    for kind, names in (("model", models), ("backend", chosen)):
        if len(names) != 1:
            raise UsageError(f"{kind} names {len(names)} {kind}s; give one")
    model = models[0]
    if model.task_name != "classification":
        raise UsageError(
            f"{model.name} is judged as {model.task_name}; infer needs a classification model"
        )

    from ..models import images
    from ..runner.prepared_model import Plan
    from ..runner.workbench import Workbench
    from ..settings import resolve

    image = images.read_image(arguments.image, model.preprocessing())
    plan = Plan(
        settings=resolve(
            options.DEVICE.value(arguments.device), options.THREADS.value(arguments.threads)
        ),
        weights=options.WEIGHTS.value(arguments.weights),
    )
    with (
        redirect_stdout(sys.stderr),  # what the model prints
        Workbench(plan) as bench,
        bench.case(model, chosen[0]) as case,
    ):
        output = case.session.predict((image.unsqueeze(0),))
    # First, so that a refusal is one line.
    probabilities = _probabilities(output, model)
    titles = _labels(model, len(probabilities))
    for notice in bench.notices():
        print(notice.seen, file=sys.stderr)
    if type(model).preprocessing is Model.preprocessing:
        steps = preparation.describe(model.preprocessing(), model.name)
        print(
            f"the photo is prepared as for ImageNet ({steps}); if {model.name} was trained "
            "otherwise, override Model.preprocessing",
            file=sys.stderr,
        )
    if weights.of_model(model, plan.weights) == weights.RANDOM:
        print(
            "the weights are random, so the labels mean nothing; use --weights pretrained",
            file=sys.stderr,
        )
    if is_flat(probabilities):
        print(FLAT, file=sys.stderr)
    for value, index in zip(*probabilities.topk(min(5, len(titles))), strict=True):
        # A tab is text; what else a terminal does not print is shown by its number.
        title = "\t".join(printable(part) for part in str(titles[index]).split("\t"))
        print(f"{title} {100 * value:.2f}%")


def _probabilities(output: object, model: Model) -> Tensor:
    """Those of the classes: the first tensor of the output, or its softmax if it has logits."""
    first, *_ = flatten(output).values()
    if first.ndim != 2:
        raise UsageError(
            f"{model.name} gives {list(first.shape)}, not logits of shape [1, classes]; infer "
            "needs a classification model"
        )
    values: Tensor = first[0].float()
    if not values.isfinite().all():
        raise UsageError(
            f"{model.name} gives NaN or infinite values for this photo, which are not logits; "
            "check its weights"
        )
    if not len(values):
        raise UsageError(f"{model.name} gives no class; infer needs a classification model")
    if len(values) == 1:
        raise UsageError(
            f"{model.name} gives one number for a photo, not one for each class; infer needs a "
            "model of two classes or more"
        )
    if (values >= 0).all() and abs(values.sum() - 1) < 1e-3:
        return values
    if len(values) < FEWEST_FOR_NOTE and 0 < values.max() <= 1 and values.min() >= 0:
        print(INDEPENDENT, file=sys.stderr)
    return values.softmax(dim=0)


def is_flat(probabilities: Tensor) -> bool:
    """Whether all classes have nearly the same, as after a softmax of numbers from 0 to 1."""
    if len(probabilities) < FEWEST_FOR_NOTE:
        return False
    return bool(probabilities.max() < math.e * probabilities.min())


def _labels(model: Model, classes: int) -> Sequence[str]:
    """The model's own; a zoo's model has ImageNet's, unless it has another head."""
    if model.labels is not None:
        labels.require(model.labels, f"labels of {model.name}")
        labels.require_count(len(model.labels), classes, f"labels of {model.name}")
        return model.labels
    zoo = (model.reference or "").partition(":")[0]
    own = torchvision_zoo.labels() if zoo in zoos.ZOOS else ()
    if len(own) == classes:
        return own
    return [f"class {index}" for index in range(classes)]
