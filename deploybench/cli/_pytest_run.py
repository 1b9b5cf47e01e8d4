"""Runs the package's own tests with pytest in this process, for `bench` and `check`."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from .. import options

SUITE = Path(__file__).resolve().parents[1] / "suite"
LATENCY, ANSWERS = SUITE / "latency.py", SUITE / "answers.py"
# No pytest.ini, conftest.py or addopts of the folder can change what is measured.
ALONE = ("-p", "deploybench.plugin", "-c", os.devnull, "--noconftest")
# As addopts, so that PYTEST_ADDOPTS and the command line override them.
DEFAULTS = ("-o", "addopts=--benchmark-min-rounds=20 --benchmark-max-time=0.5")
OF_RUN = (*options.ALL, *options.OF_CALLABLES, *options.OF_A_RUN)
PASSED_ON = """\
All other options go to pytest, for example -k, -x, --maxfail, --junitxml, --resume and
--keep-artifacts."""


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a run, which the plugin reads and checks."""
    run = parser.add_argument_group("options of the run")
    for option in OF_RUN:
        text = f"{option.help} (default: {option.default})" if option.default else option.help
        run.add_argument(
            f"--{option.name}", dest=option.key, metavar=option.metavar, help=_escaped(text)
        )
    for key, text in options.FLAGS.items():
        run.add_argument(f"--{key.replace('_', '-')}", action="store_true", help=_escaped(text))


def _escaped(text: str) -> str:
    """The text as argparse wants it, which formats help with %."""
    return text.replace("%", "%%")


def parse(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """Parse the words; those before the first option are models, and `passed` is for pytest."""
    models = list(takewhile(lambda word: not word.startswith("-"), words))
    arguments, passed = parser.parse_known_args(words[len(models) :])
    if models and arguments.models is not None:
        parser.error(f"the models are given twice: {' '.join(models)} and --models")
    if models:
        arguments.models = ",".join(models)
    arguments.passed = passed
    return arguments


def words_for_pytest(arguments: argparse.Namespace) -> list[str]:
    """What pytest is to be given, of the options of the run and of those it alone knows."""
    given = vars(arguments)
    words = [
        f"--{option.name}={given[option.key]}" for option in OF_RUN if given[option.key] is not None
    ]
    words += [f"--{key.replace('_', '-')}" for key in options.FLAGS if given[key]]
    return [*words, *arguments.passed]


class Saved:
    """A plugin of pytest that notes the run's identity and where it is saved."""

    def __init__(self) -> None:
        self._since = time.time()
        self._places: list[Path] = []
        self._document: dict[str, Any] = {}

    def pytest_benchmark_update_json(self, config: Any, output_json: dict[str, Any]) -> None:
        """Note them; pytest-benchmark calls this before it writes the run."""
        storage = Path(str(config.option.benchmark_storage).removeprefix("file://"))
        named = config.option.benchmark_json
        # An open file in older versions of pytest-benchmark.
        file = named if isinstance(named, Path) else getattr(named, "name", None)
        self._places = [Path(file)] if file else []
        self._places.append(storage)
        self._document = output_json

    def path(self) -> Path | None:
        """The file of the run; None if nothing was saved."""
        from ..errors import FileError
        from ..records.reading import read

        if not self._places:
            return None
        identity = self._document["deploybench"]["run"]
        for place in self._places:
            for path in sorted(place.rglob("*.json")) if place.is_dir() else [place]:
                try:
                    # A clock of a file system may lag by a second.
                    if path.stat().st_mtime >= self._since - 2 and read(path).identity == identity:
                        return path
                except (OSError, FileError):
                    continue  # of another process, or not a run
        return None


def run(file: Path, words: Sequence[str]) -> tuple[int, Path | None]:
    """Run the tests of `file`; the exit code of pytest, and where the run was saved."""
    import pytest

    saved = Saved()
    given = [*ALONE, f"--rootdir={Path.cwd()}", *DEFAULTS, *words, str(file)]
    return int(pytest.main(given, plugins=[saved])), saved.path()
