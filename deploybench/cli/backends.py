"""`deploybench backends`: what `--backends` may name, and whether this machine can run it."""

from __future__ import annotations

import argparse

from .. import backends, options
from ..errors import BackendUnavailable, DeploybenchError
from ..settings import Settings
from . import _runs
from ._subcommands import HERE

NAME = "backends"
SUMMARY = "List the backends, and what each needs to run on this machine."
GROUP = HERE
EXAMPLE = "--device cpu"
EPILOG = """\
example:
  {command} --backends onnxruntime,openvino

The last column says "ready", or why not and the command that mends it. The first time,
this builds the C++ program. `*` marks the backends that run by default."""

TITLES = ("Backend", "Title", "File", "Here")
READY = "ready"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        f"--{options.BACKENDS.name}",
        default="all",
        metavar=options.BACKENDS.metavar,
        help=f"{options.BACKENDS.help} (default: all)",
    )
    parser.add_argument(
        f"--{options.DEVICE.name}",
        metavar=options.DEVICE.metavar,
        help=f"{options.DEVICE.help} (default: auto)",
    )
    _runs.add_format(parser, output=False)


def main(arguments: argparse.Namespace) -> None:
    """Print one row for each backend."""
    names = backends.select(arguments.backends)
    device = options.DEVICE.value(arguments.device)

    from ..report.tables import Table
    from ..settings import resolve

    settings = resolve(device)
    rows = [_row(backends.registry()[name], settings) for name in names]
    table = Table.of(
        [TITLES, *rows],
        words=frozenset(TITLES[1:]),
        title=f"Backends on {settings.device}",
        data=[_data(*row) for row in rows],
    )
    _runs.show(table, arguments)


def _data(name: str, title: str, suffix: str, verdict: str) -> dict[str, object]:
    return {
        "backend": name.removesuffix("*"),
        "title": title,
        "default": name.endswith("*"),
        "file": None if suffix == "-" else suffix,
        "ready": verdict == READY,
        "reason": None if verdict == READY else verdict,
    }


def _row(kind: type[backends.Backend], settings: Settings) -> tuple[str, str, str, str]:
    mark = "*" if kind.default else ""
    suffix = kind.format.suffix if kind.format else "-"
    return f"{kind.name}{mark}", kind.title, suffix, _verdict(kind, settings)


def _verdict(kind: type[backends.Backend], settings: Settings) -> str:
    """Whether it can run here, in one line."""
    backend = kind(settings)
    try:
        backend.require_supported()
        backend.require()
    except BackendUnavailable as error:
        return " ".join(str(error).split())
    except (DeploybenchError, ImportError, OSError, RuntimeError) as error:
        # A package that is there but broken; the other backends can still be listed.
        return f"broken: {' '.join(str(error).split()) or type(error).__name__}"
    finally:
        backend.close()
    return READY
