"""The options that pytest and the tools share: what each takes, its default and its help.

Importing this module imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import backends, settings
from .errors import UsageError
from .machine import allocator
from .models import references, weights


def positive(option: str) -> Callable[[str], int]:
    """A parser of positive whole numbers that names `option` in its error."""

    def parse(given: str) -> int:
        if given.isascii() and given.isdigit() and int(given) > 0:
            return int(given)
        raise UsageError(f"{option} '{given}' is not a positive whole number; give 1 or more")

    return parse


def each_once(parse: Callable[[str], int]) -> Callable[[str], tuple[int, ...]]:
    """A parser of several by commas, each taken once, in the order given."""

    def parse_all(given: str) -> tuple[int, ...]:
        return tuple(dict.fromkeys(parse(part.strip()) for part in given.split(",")))

    return parse_all


@dataclass(frozen=True)
class Option:
    """One option: `--name` on the command line, `name` with underscores in pytest.ini.

    parse: turns what was given into what is used, or raises UsageError. Texts and defaults are
    strings as a user would write them; a default of None means that nothing was given.
    """

    name: str
    parse: Callable[[str], Any]
    default: str | None
    metavar: str
    help: str

    @property
    def key(self) -> str:
        """The name with underscores, as pytest.ini and argparse spell it."""
        return self.name.replace("-", "_")

    def value(self, given: str | None) -> Any:
        """What to use when `given` was given, or None.

        An empty text is no value, since it may be a variable that was not set.
        """
        chosen = self.default if given is None else given
        return None if chosen is None else self.parse(chosen)


MODELS = Option(
    "models",
    references.select,
    "article",
    "NAMES",
    "article (the 31 of the article), all (every torchvision classification model), or names and "
    "globs, by commas",
)
BACKENDS = Option(
    "backends",
    backends.select,
    ",".join(backends.default_names()),
    "NAMES",
    f"names by commas, or all; there are: {', '.join(backends.registry())}",
)
DEVICE = Option("device", settings.check_device_name, "auto", "DEVICE", "auto, cpu, cuda or cuda:N")
WEIGHTS = Option(
    "weights",
    weights.parse,
    "random",
    "SOURCE",
    "random (seeded, made fit for checking), pretrained (torchvision's IMAGENET1K_V1), or a folder "
    "of state dicts",
)
BATCH_SIZE = Option(
    "batch-size",
    each_once(positive("--batch-size")),
    "1",
    "N",
    "inputs per call; several by commas",
)
THREADS = Option(
    "threads", positive("--threads"), None, "N", "intra-op threads; default: what torch takes"
)

ALL = (MODELS, BACKENDS, DEVICE, WEIGHTS, BATCH_SIZE, THREADS)
"""Those that pytest and the tools share."""


def one_of(option: str, *allowed: str) -> Callable[[str], str]:
    """A parser of the words `allowed` that names `option` in its error."""

    def parse(given: str) -> str:
        if given not in allowed:
            raise UsageError(f"{option} '{given}' is unknown: allowed: {', '.join(allowed)}")
        return given

    return parse


METRIC = Option(
    "metric",
    one_of("--metric", "latency", "throughput"),
    "latency",
    "NAME",
    "latency of a call, or throughput: images per second of calls queued back to back",
)
DTYPE = Option(
    "dtype",
    one_of("--dtype", *settings.DTYPES),
    "float32",
    "NAME",
    f"of weights, inputs and logits: {', '.join(settings.DTYPES)}",
)
TF32 = Option(
    "tf32",
    one_of("--tf32", "on", "off"),
    None,
    "on|off",
    "TF32 in convolutions and matrix products on a GPU; default: as torch has it, on in "
    "convolutions alone",
)

ALLOCATOR = Option(
    "allocator",
    one_of("--allocator", allocator.TUNED, allocator.DEFAULT),
    None,
    f"{allocator.TUNED}|{allocator.DEFAULT}",
    f"{allocator.TUNED}: every process keeps the memory that a call frees for the next one; "
    f"{allocator.DEFAULT}: as the C library comes (default: {allocator.TUNED} where that is glibc)",
)

OF_A_RUN = (METRIC, DTYPE, TF32, ALLOCATOR)
"""Those that pytest alone takes."""

FLAGS = {
    "strict_backends": "fail where a backend cannot run on this machine, instead of skipping (on "
    "when the environment has CI=true)",
    "include_copies": "time each call with its input's way to the device and its output's way back",
    "channels_last": "lay weights and inputs out in memory with their channels last",
    "cold_start": "start a fresh process for each case too, and save the seconds to its first "
    "answer",
}
"""Those of pytest that are on or off, by their keys, each with its help."""
