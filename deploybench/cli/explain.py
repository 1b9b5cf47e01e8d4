"""`deploybench explain`: the layer at which a backend's answer leaves eager's."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout

from .. import backends, options
from ..errors import UsageError
from ..records.reduced import OVER
from ..report.formats import EXPLANATION
from . import _own_models, _runs, _terminal
from ._subcommands import DEPLOY

NAME = "explain"
SUMMARY = "Find the layer at which a backend's answer leaves eager's."
GROUP = DEPLOY
EXAMPLE = "efficientnet_b4 onnxruntime"
EPILOG = """\
examples:
  {command} efficientnet_b4 onnxruntime
  {command} my_models.py:small exported --all --format markdown
  {command} resnet18 openvino --format json -o why.json
  {command} resnet18 onnxruntime-int8

Eager and the deployed form answer the same inputs. The error of each layer is its largest
distance from float64, in units of eager's own at that layer; share is the same distance as a
share of the layer's largest value. A layer without an error was fused with another one. In
int8, where every layer is rounded, each has its SQNR, and the one is named where it falls
furthest below the lowest before it. `report --explanation
why.json` shows it on the page of a run.

exit codes:
  0 the answer is right; in int8, it is not over its budget
  1 the answer is different, or over its budget
  2 an argument cannot be used"""


def _backends() -> list[str]:
    """The names of those whose layers can be seen."""
    return [name for name, each in backends.registry().items() if each.shows_layers()]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("model", help="a model, named as for --models")
    parser.add_argument("backend", help=f"one of {', '.join(_backends())}")
    _runs.add_format(parser, EXPLANATION, more="; csv and json have every layer")
    parser.add_argument(
        "--all", action="store_true", help="list every layer, not those around the first wrong one"
    )
    for option in (options.WEIGHTS, options.DEVICE, options.THREADS, options.DTYPE):
        text = f"{option.help} (default: {option.default})" if option.default else option.help
        parser.add_argument(f"--{option.name}", metavar=option.metavar, help=text)
    _own_models.add_arguments(parser)


def main(arguments: argparse.Namespace) -> int:
    """Print the first layer whose error is too large, and a table."""
    models = _own_models.select(arguments.model, arguments)
    chosen = backends.select(arguments.backend)
    for kind, names in (("model", models), ("backend", chosen)):
        if len(names) != 1:
            raise UsageError(f"{kind} names {len(names)} {kind}s; give one")
    if chosen[0] not in _backends():
        raise UsageError(
            f"the layers of {chosen[0]} cannot be seen; explain takes {', '.join(_backends())}"
        )

    from ..runner.explaining import explain
    from ..runner.prepared_model import Plan
    from ..runner.workbench import Workbench
    from ..settings import resolve

    plan = Plan(
        settings=resolve(
            options.DEVICE.value(arguments.device),
            options.THREADS.value(arguments.threads),
            dtype=options.DTYPE.value(arguments.dtype),
        ),
        weights=options.WEIGHTS.value(arguments.weights),
    )
    with redirect_stdout(sys.stderr), Workbench(plan) as bench:  # what the model prints
        found = explain(bench, models[0], chosen[0])
    view = _terminal.view(arguments.output)
    _runs.write(EXPLANATION[arguments.format](found, arguments.all, view), arguments.output)
    return 0 if found.agrees and found.verdict != OVER else 1
