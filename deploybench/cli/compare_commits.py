"""`deploybench compare-commits`: is one commit slower than another, measured side by side?"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import processes
from ..errors import BackendFailed, UsageError, printable
from ..records import store
from . import _runs, _terminal, gate
from ._subcommands import MEASURE
from ._worktrees import Side, checked_out

if TYPE_CHECKING:
    from ..analysis.regression import Options, Report

NAME = "compare-commits"
SUMMARY = "Measure two commits in turn until every cell is decided, and judge them as gate does."
GROUP = MEASURE
EXAMPLE = "main HEAD --models resnet18"
EPILOG = """\
examples:
  {command} main HEAD --models mypkg.nets:make_net --input 3x224x224
  {command} v1.2 HEAD --backends eager,cpp --time-limit 1h --format html -o gate.html

Each commit is checked out into a temporary folder, and `deploybench bench` runs there: base, head,
head, base, and so on. Each run is a process. All other options go to bench. In a checkout of
deploybench, each commit runs its own deploybench.

The runs are judged after 3, 5, 8, 12 and 20 pairs. From then on, only models with inconclusive
cells are measured. Each of these looks is judged at a higher confidence, so that --confidence holds
for all of them together. All runs stay in the storage, as base-COMMIT and head-COMMIT.

The exit codes are those of gate."""

SAVING = ("--save", "--benchmark-save", "--benchmark-json", "--benchmark-storage")
MEASURED = (0, 1)
"""The exit codes of bench that leave a saved run: all right, or something wrong or failed."""
HOUR = 3600.0
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": HOUR}
FAILED = 4
"""The exit code of gate for a case that failed."""
READABLE = ("text", "markdown")
"""The formats that can have a sentence in place of the report."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.usage = "%(prog)s BASE HEAD [options] [options of bench]"
    parser.add_argument("base", metavar="BASE", help="a commit, branch or tag")
    parser.add_argument("head", metavar="HEAD", help="the one to be judged against it")
    parser.add_argument(
        "--time-limit",
        default="30m",
        metavar="TIME",
        help="no pair of runs is started that would probably end later, such as 90s, 30m or 2h "
        "(default: 30m); the first pair always runs",
    )
    gate.add_judgement(parser)
    _runs.add_storage(parser)


def parse(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """Parse the words; those that this command does not know are for `bench`."""
    arguments, passed = parser.parse_known_args(words)
    arguments.passed = passed
    return arguments


def main(arguments: argparse.Namespace) -> int:
    """Measure, print or write the report, and return its exit code."""
    limit = seconds(arguments.time_limit)
    options = gate.options_of(arguments)
    for word in arguments.passed:
        if word.startswith(SAVING):
            raise UsageError(f"{word} cannot be used here; --storage says where the runs are saved")
    with checked_out(Path.cwd(), arguments.base, arguments.head) as sides:
        storage = store.folder(arguments.storage).resolve()
        comparison = Comparison(sides, arguments.passed, storage, options)
        try:
            report = comparison.until_decided(limit)
        except HeadFailed as error:
            return _write_failure(error, arguments)
    return gate.write(report, arguments)


def _write_failure(error: HeadFailed, arguments: argparse.Namespace) -> int:
    """Say why the head cannot be judged; the exit code is the gate's for what failed."""
    if arguments.format in READABLE:
        _runs.write(f"{printable(str(error))}\n", arguments.output)
    if arguments.output is not None or arguments.format not in READABLE:
        _say(str(error))
    return FAILED


def seconds(given: str) -> float:
    """A time such as 90, 90s, 30m or 2h in seconds. Raises UsageError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", given.strip())
    if found is None or not float(found[1]):
        raise UsageError(f"'{given}' is not a time; use for example 90s, 30m or 2h")
    return float(found[1]) * UNITS[found[2]]


class HeadFailed(BackendFailed):
    """Nothing of the head could be measured, though the base was."""


class Comparison:
    """Runs of both sides in turn.

    words: the options of bench. storage: where the runs are saved. options: how the comparison as a
    whole is judged; each look is judged at a higher confidence.
    """

    def __init__(
        self, sides: tuple[Side, Side], words: Sequence[str], storage: Path, options: Options
    ) -> None:
        from ..analysis import looks

        self._sides = sides
        self._words = list(words)
        self._storage = storage
        self._options = replace(options, confidence=looks.confidence_of_one(options.confidence))
        self._saved: dict[str, list[Path]] = {side.name: [] for side in sides}

    def until_decided(self, limit: float) -> Report:
        """Measure until every cell is decided, or the next pair might exceed `limit` seconds.

        If a side cannot be measured any more, the pairs before it are judged. Raises BackendFailed
        if the first pair cannot be measured, and HeadFailed if only its head cannot.
        """
        from ..analysis import looks

        started, longest = time.monotonic(), 0.0
        undecided: list[str] = []
        for pair in range(1, looks.PAIRS[-1] + 1):
            before = time.monotonic()
            if pair > 1 and before - started + longest > limit:
                _say(f"the time limit of {limit:g} s ends after {pair - 1} pair{'s' * (pair > 2)}")
                break
            try:
                for side in self._sides if pair % 2 else reversed(self._sides):
                    self._measure(side, undecided, max(limit, HOUR))
            except BackendFailed as error:
                if pair == 1:
                    raise
                _say(f"pair {pair} ends it: {error}")
                break
            longest = max(longest, time.monotonic() - before)
            _say(f"pair {pair} of at most {looks.PAIRS[-1]}: {time.monotonic() - before:.0f} s")
            if pair in looks.PAIRS:
                report = self._judged()
                before_it = len(undecided or {cell.model for cell in report.cells})
                undecided = looks.undecided(report)
                longest *= len(undecided) / before_it  # the next pairs have fewer models
                if not undecided:
                    return report
                _say(f"not yet decided: {', '.join(undecided)}")
        return self._judged()

    def _measure(self, side: Side, models: Sequence[str], deadline: float) -> None:
        """Run bench in the folder of `side`; with `models`, only those."""
        name = f"{side.name}-{side.short}"
        before = set(self._files(name))
        words = ["--save", name, f"--benchmark-storage=file://{self._storage}", *self._words]
        if models and not any(word.startswith("-k") for word in self._words):
            words += _selecting(models)
        own = (side.folder / "deploybench" / "__init__.py").is_file()
        path = side.import_path(os.environ.get("PYTHONPATH", ""))
        try:
            done = processes.run(
                [sys.executable, "-m", "deploybench", "bench", *words],
                deadline,
                # Wide, so that pytest does not cut its reasons.
                {**os.environ, "COLUMNS": "1000", "PYTHONPATH": path},
                folder=side.place,
                source=side.folder if own else processes.ROOT,
            )
        except BackendFailed as error:
            raise BackendFailed(f"{side.name} ({side.short}) was not measured: {error}") from None
        saved = sorted(set(self._files(name)) - before)
        if done.returncode not in MEASURED or not saved:
            head_alone = side is self._sides[1] and self._saved[self._sides[0].name]
            # What pytest refuses is the options' fault, and not the commit's.
            failed = HeadFailed if head_alone and done.returncode == 1 else BackendFailed
            raise failed(
                f"{side.name} ({side.short}) could not be measured, exit code {done.returncode}: "
                f"{_reason(done.stdout, done.stderr)}"
            )
        self._saved[side.name] += saved

    def _files(self, name: str) -> list[Path]:
        return list(self._storage.rglob(f"*_{name}.json"))

    def _judged(self) -> Report:
        from ..analysis import regression

        base, head = store.load_sides(
            [[str(path) for path in self._saved[side.name]] for side in self._sides]
        )
        return regression.judge_runs(base, head, self._options)


def _reason(output: str, errors: str) -> str:
    """Why bench saved nothing: pytest's first failure, or else the last line that was printed."""
    failures = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    printed = (errors.strip() or output.strip() or "it printed nothing").splitlines()
    return failures[0] if failures else printed[-1]


def _selecting(models: Sequence[str]) -> list[str]:
    """The option of pytest that selects these models, if it can name them."""
    nameable = all(re.fullmatch(r"[\w.:+/-]+", model, re.ASCII) for model in models)
    return ["-k", " or ".join(models)] if nameable else []


def _say(line: str) -> None:
    print(_terminal.folded(line), file=sys.stderr, flush=True)
