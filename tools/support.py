#!/usr/bin/env python3
"""Takes every model through every backend and writes which gives the right answer, as a page."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench import backends, options
from deploybench.command import run_command
from deploybench.files import replacing
from deploybench.machine import packages
from deploybench.models import torchvision_zoo
from deploybench.runner import support
from deploybench.runner.support import Finding, Survey

DOCS = Path(__file__).resolve().parents[1] / "docs"


def main(arguments: argparse.Namespace) -> int:
    """Survey what is not known yet, and write the page anew after each model."""
    models = torchvision_zoo.select(arguments.models)
    names = backends.select(arguments.backends)
    processes = options.positive("--processes")(arguments.processes)
    found = support.read(arguments.findings, conditions(arguments))
    due = {
        model: [name for name in names if (model, name) not in found.findings] for model in models
    }
    due = {model: wanted for model, wanted in due.items() if wanted}
    left = sum(map(len, due.values()))

    def note(model: str, backend: str, finding: Finding) -> None:
        nonlocal left
        left -= 1
        found.findings[model, backend] = finding
        found.save(arguments.findings)
        write_page(found, arguments.output)
        words = ": ".join(filter(None, (finding.outcome, finding.reason)))
        print(f"[{left} left] {model:<20} {backend:<15} {words}", flush=True)

    support.survey(due, worker_arguments(arguments, processes), arguments.deadline, note, processes)
    write_page(found, arguments.output)
    wrong = sum(
        found.findings[model, name].outcome == support.DIFFERENT
        for model in models
        for name in names
    )
    print(f"{arguments.output}: {len(models)} models, {len(names)} backends, {wrong} different")
    return 1 if wrong else 0


def write_page(found: Survey, path: Path) -> None:
    """Write what is known."""
    with replacing(path) as unfinished:
        page = support.to_markdown(found, list(backends.registry()))
        unfinished.write_text(page, encoding="utf-8")


def worker_arguments(arguments: argparse.Namespace, processes: int) -> list[str]:
    """What each process is told; those that work side by side share the cores."""
    given = [f"--device={arguments.device}", f"--dtype={arguments.dtype}"]
    if processes > 1:
        threads = max(1, len(os.sched_getaffinity(0)) // processes)
        given.append(f"--threads={threads}")
    return given


def conditions(arguments: argparse.Namespace) -> dict[str, str]:
    """What all findings of one page have in common."""
    needed = {name for backend in backends.registry().values() for name in backend.packages()}
    names = ("torch", "torchvision", *sorted(needed))
    versions = {name: packages.installed_version(name) or "absent" for name in names}
    return {"device": arguments.device, "dtype": arguments.dtype, **versions}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="support",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""\
examples:
  python tools/support.py --models resnet18 --backends all
  python tools/support.py --models all --backends traced,onnxruntime

What an earlier survey has found is kept and not tried again. With a compiler at work, a model takes
minutes; a survey that was broken off goes on where it was.
exit codes: 0 no answer is different, 1 one is, 2 something cannot be used""",
    )
    parser.add_argument("--models", default="article", help=options.MODELS.help)
    parser.add_argument("--backends", default="all", help=options.BACKENDS.help)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument("--dtype", default="float32", help=options.DTYPE.help)
    parser.add_argument(
        "--processes", default="1", help="models taken at the same time (default: 1)"
    )
    parser.add_argument(
        "--deadline", type=float, default=900.0, help="seconds for one case (default: 900)"
    )
    parser.add_argument(
        "--findings",
        type=Path,
        default=DOCS / "support.json",
        help="where findings are kept (default: docs/support.json)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=DOCS / "support.md",
        help="the page (default: docs/support.md)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main, parser()))
