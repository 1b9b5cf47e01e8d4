#!/usr/bin/env python3
"""Takes every model through every backend and writes which gives the right answer, as a page."""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench import backends, catalog, options, support
from deploybench.command import run_command
from deploybench.files import replacing
from deploybench.support import Finding

DOCS = Path(__file__).resolve().parents[1] / "docs"
PACKAGES = ("torch", "torchvision", "onnx", "onnxscript", "onnxruntime", "openvino")


def main(arguments: argparse.Namespace) -> int:
    """Survey what is not known yet, and write the page anew after each model."""
    models = catalog.select(arguments.models)
    names = backends.select(arguments.backends)
    found = support.read(arguments.findings, conditions(arguments))
    worker = [f"--device={arguments.device}", f"--dtype={arguments.dtype}"]
    for number, model in enumerate(models, start=1):
        due = [name for name in names if (model, name) not in found.findings]

        def note(backend: str, finding: Finding, of: str = model, place: int = number) -> None:
            found.findings[of, backend] = finding
            found.save(arguments.findings)
            words = ": ".join(filter(None, (finding.outcome, finding.reason)))
            print(f"[{place}/{len(models)}] {of:<20} {backend:<15} {words}", flush=True)

        if due:
            support.survey_model(model, due, worker, arguments.deadline, note)
        with replacing(arguments.output) as unfinished:
            page = support.to_markdown(found, list(backends.registry()))
            unfinished.write_text(page, encoding="utf-8")
    wrong = sum(
        found.findings[model, name].outcome == support.DIFFERENT
        for model in models
        for name in names
    )
    print(f"{arguments.output}: {len(models)} models, {len(names)} backends, {wrong} different")
    return 1 if wrong else 0


def conditions(arguments: argparse.Namespace) -> dict[str, str]:
    """What all findings of one page have in common."""
    found = {"device": arguments.device, "dtype": arguments.dtype}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


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
