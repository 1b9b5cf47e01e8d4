"""The options of a run as pytest got them: on the command line and in files."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .. import options, project
from ..errors import UsageError
from ..models import Model, own, references
from ..project import Project
from ..runner.options import RunOptions
from ..settings import resolve_device

TEXTS = (*options.ALL, *options.OF_CALLABLES, *options.OF_A_RUN)
"""The options with a value."""


@dataclass(frozen=True, kw_only=True)
class PytestOptions(RunOptions):
    """The options of a run given to pytest.

    strict_backends: fail instead of skipping. of_callables: the texts of options.OF_CALLABLES.
    """

    strict_backends: bool
    of_callables: Mapping[str, str]

    def given(self) -> dict[str, str | bool]:
        """As of any run, with what callables do not say about their models."""
        of_callables = {name.removeprefix("--"): text for name, text in self.of_callables.items()}
        return {**super().given(), **own.said_of_callables(self.models), **of_callables}

    def command_line(self, model: str, backend: str) -> str:
        """The options that repeat a single test, quoted for a shell."""
        shown = {each.name: references.shown(each) or each.name for each in self.models}
        always = {
            "--models": shown[model],
            **self.of_callables,
            "--backends": backend,
            "--weights": self.weights.label,
            "--device": self.device,
            "--batch-size": ",".join(map(str, self.batch_sizes)),
        }
        others = {f"--{name}": value for name, value in self.given().items()}
        others = {name: value for name, value in others.items() if name not in always}
        return shlex.join(options.words({**always, **others}))


def read_options(config: pytest.Config) -> PytestOptions:
    """Each option from the command line, else pytest.ini, else pyproject.toml, else its default.

    Raises UsageError or FileError for one that cannot be used.
    """
    ours = project.find((config.invocation_params.dir, config.rootpath))
    texts = {option.key: _text(config, option.key, ours) for option in TEXTS}
    values: dict[str, Any] = {
        option.key: option.value(texts[option.key])
        for option in TEXTS
        if option is not options.MODELS
    }
    if values["device"].startswith("cuda"):
        resolve_device(values["device"])
    for key in options.FLAGS:
        said = config.getoption(key), config.getini(key), ours.flags.get(key)
        values[key] = next((flag for flag in said if flag is not None), False)
    values["batch_sizes"] = values.pop("batch_size")
    values["strict_backends"] |= os.environ.get("CI", "").lower() in ("true", "1")
    of_callables = {option.key: values.pop(option.key) for option in options.OF_CALLABLES}
    keep = _text(config, project.KEEP_ARTIFACTS, ours)
    if keep == "":
        raise UsageError("--keep-artifacts '' is not a folder; give the name of one")
    return PytestOptions(
        models=_models(config, texts["models"], of_callables, ours),
        keep_artifacts=Path(keep) if keep else None,
        of_callables={
            f"--{option.name}": text
            for option in options.OF_CALLABLES
            if (text := texts[option.key]) is not None
        },
        **values,
    )


def _text(config: pytest.Config, key: str, ours: Project) -> str | None:
    given: str | None = config.getoption(key)
    if given is not None:
        return given
    return config.getini(key) or ours.texts.get(key)


def _models(
    config: pytest.Config, text: str | None, of_callables: Mapping[str, Any], ours: Project
) -> list[Model]:
    """The models of the run, whose own modules and files are found from where they are named."""
    elsewhere = config.getoption("models") is None and not config.getini("models")
    given = own.Given(
        inputs=of_callables["input"],
        task=of_callables["task"],
        labels=of_callables["labels"],
        folder=ours.folder if elsewhere else config.invocation_params.dir,
    )
    chosen = references.select(options.MODELS.default or "" if text is None else text, given)
    for option in options.OF_CALLABLES:
        on_command_line = config.getoption(option.key)
        if on_command_line is not None and not any(map(own.is_of_callable, chosen)):
            raise UsageError(
                f"--{option.name} {on_command_line} is for models named as MODULE:CALLABLE, and "
                "--models has none; leave it out"
            )
    return chosen
