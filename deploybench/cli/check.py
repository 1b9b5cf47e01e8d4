"""`deploybench check`: the answers, without timing."""

from __future__ import annotations

import argparse

from . import _pytest_run
from ._subcommands import MEASURE

NAME = "check"
SUMMARY = "Check that each backend gives the model's answer, without timing."
GROUP = MEASURE
EXAMPLE = "resnet18 --backends all"
EPILOG = f"""\
examples:
  {{command}} resnet18 vgg11
  {{command}} --models 'resnet*' --backends all --junitxml answers.xml

{_pytest_run.PASSED_ON}

exit codes are those of pytest: 0 all answers are right, 1 one is not, 4 an option cannot
be used"""

parse = _pytest_run.parse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.usage = "%(prog)s [MODEL ...] [options]"
    _pytest_run.add_run_options(parser)


def main(arguments: argparse.Namespace) -> int:
    """Run the tests."""
    code, _ = _pytest_run.run(_pytest_run.ANSWERS, _pytest_run.words_for_pytest(arguments))
    return code
