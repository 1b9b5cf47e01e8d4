"""`deploybench bench`: the table of latencies, each after its answer was checked."""

from __future__ import annotations

import argparse
from dataclasses import replace

from . import _pytest_run, _terminal
from ._subcommands import MEASURE

NAME = "bench"
SUMMARY = "Check each model through each backend, time it, save the run and print the table."
GROUP = MEASURE
EXAMPLE = "resnet18 --backends eager,scripted"
EPILOG = f"""\
examples:
  {{command}}                                 the default models and backends
  {{command}} resnet18 vgg11 --device cpu
  {{command}} --models 'resnet*' --backends all --save resnets

{_pytest_run.PASSED_ON}

exit codes are those of pytest: 0 all answers are right, 1 one is not or a backend failed,
4 an option cannot be used"""

SAVING = ("--benchmark-save", "--benchmark-autosave", "--benchmark-json", "--collect-only", "--co")
"""Where one of these is given, pytest is not told to save as well."""

parse = _pytest_run.parse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.usage = "%(prog)s [MODEL ...] [options]"
    parser.add_argument(
        "--save",
        metavar="NAME",
        help="the name of the saved run, for `table` and the others (default: run)",
    )
    _pytest_run.add_run_options(parser)


def main(arguments: argparse.Namespace) -> int:
    """Run the tests, print the table and where the run is saved."""
    words = _pytest_run.words_for_pytest(arguments)
    given = {word.partition("=")[0] for word in words}
    if arguments.save is not None or not given & set(SAVING):
        words.insert(0, f"--benchmark-save={'run' if arguments.save is None else arguments.save}")
    code, saved = _pytest_run.run(_pytest_run.LATENCY, ["--benchmark-quiet", *words])
    if saved is None:
        return code
    from ..records import store
    from ..report import of_runs, terminal

    table = of_runs.latencies(store.load([str(saved)]))
    # The notices above say what a mark means.
    print(f"\n{terminal.write(replace(table, notes=()), _terminal.view())}")
    print(f"{table.title}; saved: {saved}")
    return code
