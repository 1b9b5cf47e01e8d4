"""What says of a callable what it does not say itself: --input, --task and --labels."""

from __future__ import annotations

import argparse

from .. import options
from ..errors import UsageError
from ..models import Model, own, references


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    for option in options.OF_CALLABLES:
        parser.add_argument(f"--{option.name}", metavar=option.metavar, help=option.help)


def select(spec: str, arguments: argparse.Namespace) -> list[Model]:
    """The models that `spec` names. arguments: may lack the options, as those of tools/ do.

    Raises UsageError also for an option that no model is in need of.
    """
    texts = {option: getattr(arguments, option.key, None) for option in options.OF_CALLABLES}
    inputs, task, labels = (option.value(text) for option, text in texts.items())
    models = references.select(spec, own.Given(inputs=inputs, task=task, labels=labels))
    for option, text in texts.items():
        if text is not None and not any(map(own.is_of_callable, models)):
            raise UsageError(
                f"--{option.name} {text} is for models named as MODULE:CALLABLE, and '{spec}' "
                "names none; leave it out"
            )
    return models
