"""The options that pytest and the tools share: their values, defaults and help.

Importing this module imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import backends, settings, tasks
from .errors import UsageError, unknown_name
from .machine import allocator
from .models import Model, labels, references, shapes, weights
from .tasks import fidelity


def positive(option: str) -> Callable[[str], int]:
    """A parser of positive whole numbers whose errors name `option`."""

    def parse(given: str) -> int:
        if given.isascii() and given.isdigit() and int(given) > 0:
            return int(given)
        raise UsageError(f"{option} '{given}' is not a positive whole number; give 1 or more")

    return parse


def each_once(parse: Callable[[str], int]) -> Callable[[str], tuple[int, ...]]:
    """A parser of values separated by commas; duplicates are dropped, the order is kept."""

    def parse_all(given: str) -> tuple[int, ...]:
        return tuple(dict.fromkeys(parse(part.strip()) for part in given.split(",")))

    return parse_all


@dataclass(frozen=True)
class Option:
    """One option: `--name` on the command line, `name` with underscores in pytest.ini.

    parse: converts the given text to a value, or raises UsageError. default: as a user would write
    it; None means that the option is not set. written: the text of a value, which `parse` makes
    that value of. attribute: its name among the options of a run, if it is not `key`.
    """

    name: str
    parse: Callable[[str], Any]
    default: str | None
    metavar: str
    help: str
    written: Callable[[Any], str] = str
    attribute: str = ""

    @property
    def key(self) -> str:
        """The name with underscores, as pytest.ini and argparse spell it."""
        return self.name.replace("-", "_")

    def value(self, given: str | None) -> Any:
        """The value for the text `given`; the default's if it is None.

        Empty text is parsed too, because it may be an unset variable.
        """
        chosen = self.default if given is None else given
        return None if chosen is None else self.parse(chosen)

    def given(self, run: object) -> str | None:
        """Its text in the options of a run; None for the default."""
        value = getattr(run, self.attribute or self.key)
        return None if value == self.value(None) else self.written(value)


def _items(models: Sequence[Model]) -> str:
    """The items that name these models; files in the current folder without it."""
    items = (references.shown(each) or each.name for each in models)
    return ",".join(dict.fromkeys(item.removeprefix(f"{Path.cwd()}/") for item in items))


MODELS = Option(
    "models",
    references.select,
    "article",
    "NAMES",
    "article (its 31 models), all (every torchvision classification model), names and globs, and "
    "your own models: FILE.py, MODULE, or either with :NAME; separated by commas",
    written=_items,
)
BACKENDS = Option(
    "backends",
    backends.select,
    ",".join(backends.default_names()),
    "NAMES",
    f"all, or names separated by commas: {', '.join(backends.registry())}",
    written=",".join,
)
DEVICE = Option("device", settings.check_device_name, "auto", "DEVICE", "auto, cpu, cuda or cuda:N")
WEIGHTS = Option(
    "weights",
    weights.parse,
    "random",
    "SOURCE",
    "random (seeded, adjusted to make checks meaningful), pretrained (torchvision's "
    "IMAGENET1K_V1), a state dict, or a folder of them; your own models are measured as built, "
    "unless there is a state dict for them",
    written=lambda source: str(source.label),
)
BATCH_SIZE = Option(
    "batch-size",
    each_once(positive("--batch-size")),
    "1",
    "N",
    "inputs per call; separate several sizes by commas",
    written=lambda sizes: ",".join(map(str, sizes)),
    attribute="batch_sizes",
)
THREADS = Option(
    "threads", positive("--threads"), None, "N", "intra-op threads (default: PyTorch's own)"
)


def task_name(given: str) -> str:
    """`given` if it is the name of a task. Raises UsageError otherwise."""
    if given not in tasks.TASKS:
        raise unknown_name("task", given, tasks.TASKS)
    return given


INPUT = Option(
    "input",
    shapes.parse_shapes,
    None,
    "SHAPE",
    "the shape of the input of models that are named as MODULE:CALLABLE, without the batch "
    "dimension: 3x224x224, or 1x64x64,5 for two inputs",
)
TASK = Option(
    "task",
    task_name,
    None,
    "NAME",
    f"how answers of such models are judged: {', '.join(tasks.TASKS)} (default: classification)",
)
LABELS = Option("labels", labels.read, None, "FILE", "the class labels of such models, one a line")

OF_CALLABLES = (INPUT, TASK, LABELS)
"""The options that say what a callable does not say about the model that it builds."""

ALL = (MODELS, BACKENDS, DEVICE, WEIGHTS, BATCH_SIZE, THREADS)
"""The options that pytest and the tools share."""


def one_of(option: str, *allowed: str) -> Callable[[str], str]:
    """A parser of the words `allowed` whose errors name `option`."""

    def parse(given: str) -> str:
        if given not in allowed:
            raise UsageError(f"{option} '{given}' is unknown; allowed: {', '.join(allowed)}")
        return given

    return parse


METRIC = Option(
    "metric",
    one_of("--metric", "latency", "throughput"),
    "latency",
    "NAME",
    "latency of a call, or throughput: images per second of calls queued back to back",
)
NEIGHBOURS = Option(
    "neighbours",
    positive("--neighbours"),
    "1",
    "N",
    "run N copies of each model at once, each in a process of its own, and report the latency of "
    "each copy",
)
DTYPE = Option(
    "dtype",
    one_of("--dtype", *settings.DTYPES),
    "float32",
    "NAME",
    f"the type of weights, inputs and logits: {', '.join(settings.DTYPES)}",
)
TF32 = Option(
    "tf32",
    one_of("--tf32", "on", "off"),
    None,
    "on|off",
    "TF32 in convolutions and matrix products on a GPU (default: PyTorch's own, on for "
    "convolutions only)",
)

ALLOCATOR = Option(
    "allocator",
    one_of("--allocator", allocator.TUNED, allocator.DEFAULT),
    None,
    f"{allocator.TUNED}|{allocator.DEFAULT}",
    f"{allocator.TUNED}: every process keeps the memory that a call frees for the next call; "
    f"{allocator.DEFAULT}: the C library decides (default: {allocator.TUNED} with glibc, else "
    f"{allocator.DEFAULT})",
)


def folder(given: str) -> Path:
    """The folder of images. Raises UsageError if there is none."""
    if not Path(given).is_dir() or not given:
        raise UsageError(f"--images '{given}' is not a folder; give a folder of images")
    return Path(given)


IMAGES = Option(
    "images",
    folder,
    None,
    "FOLDER",
    "images that backends of reduced precision are calibrated with and judged on, in two halves; "
    "labels by a folder for each class, or a labels.csv (default: crops of photographs, if the "
    "extra photos is installed)",
)
BUDGET = Option(
    "budget",
    fidelity.parse_budget,
    str(fidelity.DEFAULT_BUDGET),
    "BUDGET",
    "what must be left in reduced precision, with a confidence of 0.95: agreement>=SHARE of first "
    "classes with eager's, or accuracy>=CHANGE with labelled images, such as accuracy>=-0.005",
)


def words(given: Mapping[str, str | bool]) -> list[str]:
    """Options, by name with hyphens, as words of a command; the value of a flag is True."""
    found: list[str] = []
    for name, value in given.items():
        found += [name, value] if isinstance(value, str) else [name]
    return found


BOUNDS = {
    "benchmark-min-rounds": "min_rounds",
    "benchmark-max-time": "max_seconds",
    "benchmark-precision": "precision",
    "benchmark-confidence": "confidence",
}
"""The options of pytest-benchmark that bound a case's timing, and what they are called here."""

OF_A_RUN = (METRIC, NEIGHBOURS, DTYPE, TF32, ALLOCATOR, IMAGES, BUDGET)
"""The options that only pytest takes."""

FLAGS = {
    "strict_backends": "fail if this machine cannot run a backend, instead of skipping it (on if "
    "the environment has CI=true)",
    "include_copies": "also time the input's transfer to the device and the output's transfer back",
    "channels_last": "store weights and inputs in the channels-last memory format",
    "cold_start": "also start a fresh process for each case, and save the time to its first answer",
}
"""The flags that only pytest takes, by key, with their help."""
