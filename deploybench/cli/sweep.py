"""`deploybench sweep`: a grid of models and conditions, each measured in a process of its own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import options
from ..errors import UsageError
from . import _own_models, _sweep_engines
from ._subcommands import MEASURE
from ._sweep_progress import Progress, duration

if TYPE_CHECKING:
    from ..sweep.engine import Engine
    from ..sweep.folder import Folder
    from ..sweep.grid import Grid
    from ..sweep.job import Job
    from ..sweep.ledger import Entry

NAME = "sweep"
SUMMARY = (
    "Measure a grid of models and conditions, each in a fresh process; go on where it stopped."
)
GROUP = MEASURE
EXAMPLE = "grid.toml"
EPILOG = """\
examples:
  {command} --models 'resnet*' --dtype float32,bfloat16 --batch-size 1,8 --repeats 3
  {command} grid.toml -o resnets --dry-run

A grid is a TOML file of options of bench. A list of values makes a job for each:

  models = ["resnet*", "nets.py:make_net"]
  backends = ["eager", "scripted", "cpp"]     # measured together
  dtype = ["float32", "bfloat16"]
  batch-size = [1, 8]
  threads = 2
  repeats = 3

Options on the command line replace those of the grid. Others go to bench as they are, each as one
word, such as -keager. The same command again measures only what has no result yet. FOLDER/runs/
has one saved run for each condition and repeat.

exit codes:
  0 every job was measured, and all answers are right
  1 a job failed, or an answer is wrong
  2 an argument or a file cannot be used"""

SAVING = ("--save", "--benchmark-save", "--benchmark-json", "--benchmark-storage", "--resume")
JOB = (sys.executable, "-m", "deploybench.cli._sweep_job")
OPTIONS = (*options.ALL, *options.OF_A_RUN)
WHOLE = (options.MODELS.name, options.WEIGHTS.name)
"""Options whose commas are their own."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("grid", nargs="?", type=Path, metavar="GRID", help="a TOML file")
    of_grid = parser.add_argument_group("options of the grid, with several values behind commas")
    for option in OPTIONS:
        of_grid.add_argument(
            f"--{option.name}", dest=option.key, metavar=option.metavar, help=_plain(option.help)
        )
    _own_models.add_arguments(parser)
    of_grid.add_argument(
        "--repeats", metavar="N", help="how often each cell is measured (default: 1)"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("sweep"),
        metavar="FOLDER",
        help="where all results go (default: sweep)",
    )
    parser.add_argument(
        "--deadline",
        type=float,
        default=3600.0,
        metavar="SECONDS",
        help="the time limit of one job (default: 3600)",
    )
    parser.add_argument(
        "--like",
        type=Path,
        metavar="FOLDER",
        help="an earlier sweep, from which the time is estimated",
    )
    _sweep_engines.add_arguments(parser)
    parser.add_argument("--dry-run", action="store_true", help="print the jobs and the time only")


def _plain(text: str) -> str:
    return text.replace("%", "%%")


def parse(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """Parse the words; those that this command does not know are for `bench`."""
    arguments, passed = parser.parse_known_args(words)
    arguments.passed = passed
    return arguments


def main(arguments: argparse.Namespace) -> int:
    """Measure what is not measured yet, join the runs, and print where they are."""
    from ..models import own
    from ..sweep import ledger
    from ..sweep.folder import Folder

    grid = read_grid(arguments)
    for word in arguments.passed:
        if word.startswith(SAVING):
            raise UsageError(f"{word} cannot be used here; -o says where the runs are saved")
    if arguments.deadline <= 0:
        raise UsageError(f"--deadline {arguments.deadline:g} is not a time; give seconds")
    selected = _own_models.select(grid.models, arguments)
    named = {model.name: model.reference or model.name for model in selected}
    jobs = grid.jobs(named, arguments.passed)
    if arguments.labels is not None:  # a reference has no place for them
        labels = f"--labels={Path(arguments.labels).absolute()}"
        callables = {model.name for model in selected if own.is_of_callable(model)}
        jobs = [
            replace(job, passed=(*job.passed, labels)) if job.model in callables else job
            for job in jobs
        ]
    folder = Folder(arguments.output)
    with folder.alone():
        pending = folder.pending(jobs)
        if pending and arguments.passed:
            _refuse_unknown(pending[0], arguments.deadline)
        known = ledger.read(folder.path)
        if arguments.like is not None:
            known = [*ledger.read(arguments.like), *known]
        engines = _sweep_engines.made(pending, folder, arguments, JOB)
        print(_outlook(jobs, pending, ledger.expected_seconds(pending, known), engines))
        if arguments.dry_run:
            print("\n".join(job.label for job in pending))
            return 0
        progress = Progress(pending, folder, known, width(engines) if pending else 1)
        try:
            with progress.shown():
                for engine, its in engines:
                    engine.run(its, progress.ended, progress.begun)
        finally:
            written = folder.merge(jobs)
    return _summary(folder, written, progress.failed)


def _refuse_unknown(job: Job, deadline: float) -> None:
    """Refuse options that pytest does not know, which no job could use. Raises UsageError.

    This machine may have no GPU, if nodes of a cluster have them, so it asks without the device.
    """
    from ..sweep import measuring
    from ..sweep.slots import Slot

    here = [
        tuple(each for each in given if each[0] != options.DEVICE.name)
        for given in (job.shared, job.condition)
    ]
    job = replace(job, shared=here[0], condition=here[1])
    reason = measuring.refusal(job, Slot(), deadline, JOB)
    if reason:
        raise UsageError(f"pytest refuses the options of the jobs: {reason}")


def read_grid(arguments: argparse.Namespace) -> Grid:
    """The grid of the file, with the options of the command line. Raises UsageError."""
    from ..sweep import grid

    names = [option.name for option in OPTIONS]
    flags = [flag.replace("_", "-") for flag in options.FLAGS]
    given = {} if arguments.grid is None else dict(grid.content(arguments.grid))
    for option in OPTIONS:
        text = getattr(arguments, option.key)
        if text is not None:
            given[option.name] = [text] if option.name in WHOLE else text.split(",")
    if arguments.repeats is not None:
        given[grid.REPEATS] = options.positive("--repeats")(arguments.repeats)
    made = grid.of(given, names, flags)
    for option in OPTIONS:
        for value in made.options.get(option.name, ()):
            if option.name != options.MODELS.name:
                option.parse(value)  # a wrong value is refused here, not by each job
    return made


def _summary(folder: Folder, written: Sequence[Path], failed: Sequence[Entry]) -> int:
    """Print where the runs are and what is missing; the exit code."""
    from ..records import reading

    wrong = 0
    for path in written:
        run = reading.read(path)
        wrong += len(run.failed)
        print(f"{path}: {len(run.cases)} cases" + f", {len(run.failed)} failed" * bool(run.failed))
    if failed:
        print(f"{len(failed)} jobs failed; the same command tries them again", file=sys.stderr)
    return 1 if failed or wrong else 0


def _outlook(
    jobs: Sequence[Job],
    pending: Sequence[Job],
    seconds: float | None,
    engines: Sequence[tuple[Engine, Sequence[Job]]],
) -> str:
    done = f"{len(jobs)} jobs, {len(jobs) - len(pending)} of them done"
    where = "".join(f"; on {engine.where}" for engine, _ in engines)
    if seconds is None or not pending:
        return done + where
    return f"{done}{where}; about {duration(seconds / width(engines))}"


def width(engines: Sequence[tuple[Engine, Sequence[Job]]]) -> float:
    """How many jobs run at a time, over all engines."""
    jobs = sum(len(its) for _, its in engines)
    return jobs / sum(len(its) / engine.width for engine, its in engines)
