"""`deploybench support`: which backend gives which model's answer."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .. import backends, options
from ..files import replacing
from ..machine import cpus, packages
from ..report.formats import TABLES
from ..runner import support
from ..runner.support import Finding, Survey
from . import _own_models, _terminal
from ._subcommands import DEPLOY

if TYPE_CHECKING:
    from ..report.tables import Table

NAME = "support"
SUMMARY = "Check every model through every backend, and write a page of the answers."
GROUP = DEPLOY
EXAMPLE = "--models resnet18 --backends all"
EPILOG = """\
examples:
  {command} --models resnet18 --backends all
  {command} --models all --backends traced,onnxruntime

Findings of an earlier survey are kept and not tried again, so an interrupted survey
continues where it stopped. Backends with a compiler take minutes for a model.

exit codes:
  0 all answers are right
  1 an answer is different
  2 an argument or a file cannot be used"""


MARKDOWN = "markdown"


def add_arguments(parser: argparse.ArgumentParser, callables: bool = True) -> None:
    """Add the arguments.

    callables: also what tools/support.py does not have: models that are callables, and formats.
    """
    parser.add_argument(
        "--models",
        default="article",
        metavar=options.MODELS.metavar,
        help=f"{options.MODELS.help} (default: article)",
    )
    if callables:
        _own_models.add_arguments(parser)
    parser.add_argument(
        "--backends",
        default="all",
        metavar=options.BACKENDS.metavar,
        help=f"{options.BACKENDS.help} (default: all)",
    )
    parser.add_argument(
        "--device", default="cpu", metavar="DEVICE", help="cpu, cuda or cuda:N (default: cpu)"
    )
    parser.add_argument(
        "--dtype",
        default="float32",
        metavar=options.DTYPE.metavar,
        help=f"{options.DTYPE.help} (default: float32)",
    )
    parser.add_argument(
        "--processes", default="1", metavar="N", help="models checked in parallel (default: 1)"
    )
    parser.add_argument(
        "--deadline",
        type=float,
        default=900.0,
        metavar="SECONDS",
        help="the time limit of one case (default: 900)",
    )
    parser.add_argument(
        "--findings",
        type=Path,
        default=Path("support.json"),
        metavar="FILE",
        help="the file of all findings (default: support.json)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("support.md"),
        metavar="FILE",
        help="the page to write (default: support.md)",
    )
    if callables:
        _add_format(parser)


def _add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format",
        choices=TABLES,
        default=MARKDOWN,
        metavar="FORMAT",
        help=f"of the page: {', '.join(TABLES)} (default: {MARKDOWN})",
    )


def main(arguments: argparse.Namespace) -> int:
    """Survey the cases without a finding, and write the page after each of them."""
    selected = _own_models.select(arguments.models, arguments)
    chosen = {model.reference or "": model.name for model in selected}
    models = list(chosen.values())
    names = backends.select(arguments.backends)
    processes = options.positive("--processes")(arguments.processes)
    found = support.read(arguments.findings, conditions(arguments))
    due = {
        reference: [name for name in names if (model, name) not in found.findings]
        for reference, model in chosen.items()
    }
    due = {reference: wanted for reference, wanted in due.items() if wanted}
    left = sum(map(len, due.values()))
    write = partial(write_page, found, arguments.output, getattr(arguments, "format", MARKDOWN))

    def note(reference: str, backend: str, finding: Finding) -> None:
        nonlocal left
        model = chosen[reference]
        left -= 1
        found.findings[model, backend] = finding
        found.save(arguments.findings)
        write()
        words = ": ".join(filter(None, (finding.outcome, finding.reason)))
        line = f"[{left} left] {model:<20} {backend:<15} {words}"
        print(_terminal.folded(line), flush=True)

    support.survey(due, worker_arguments(arguments, processes), arguments.deadline, note, processes)
    write()
    wrong = sum(
        found.findings[model, name].outcome == support.DIFFERENT
        for model in models
        for name in names
    )
    print(f"{arguments.output}: {len(models)} models, {len(names)} backends, {wrong} different")
    return 1 if wrong else 0


def write_page(found: Survey, path: Path, form: str = MARKDOWN) -> None:
    """Write the page of all findings so far."""
    names = list(backends.registry())
    if form == MARKDOWN:
        page = support.to_markdown(found, names)
    else:
        page = TABLES[form](_table(found, names), _terminal.view(path))
    with replacing(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8")


def _table(found: Survey, names: Sequence[str]) -> Table:
    """Models by backends, and why a cell is not right; as data, every finding."""
    from ..report.tables import Section, Table

    findings = found.findings
    shown = [name for name in names if any(backend == name for _, backend in findings)]
    rows = [
        [
            model,
            *(
                findings[model, name].outcome if (model, name) in findings else "-"
                for name in shown
            ),
        ]
        for model in sorted({model for model, _ in findings})
    ]
    reasons = tuple(
        f"{model}, {name}: {finding.outcome}: {finding.reason}"
        for (model, name), finding in sorted(findings.items())
        if finding.reason
    )
    return Table.of(
        [["Model", *shown], *rows],
        words=frozenset(shown),
        title="Which backend gives which model's answer",
        notes=tuple(f"{name}: {value}" for name, value in found.conditions.items()),
        sections=(Section("why:", reasons),) if reasons else (),
        data={
            "conditions": found.conditions,
            "findings": [
                {"model": model, "backend": name, **asdict(finding)}
                for (model, name), finding in sorted(findings.items())
            ],
        },
    )


def worker_arguments(arguments: argparse.Namespace, processes: int) -> list[str]:
    """The arguments of each worker process; parallel workers share the cores."""
    given = [f"--device={arguments.device}", f"--dtype={arguments.dtype}"]
    if processes > 1:
        threads = max(1, (len(cpus.of_run()) or 1) // processes)
        given.append(f"--threads={threads}")
    return given


def conditions(arguments: argparse.Namespace) -> dict[str, str]:
    """The conditions that all findings of one page share."""
    needed = {name for backend in backends.registry().values() for name in backend.packages()}
    names = ("torch", "torchvision", *sorted(needed))
    versions = {name: packages.installed_version(name) or "absent" for name in names}
    return {"device": arguments.device, "dtype": arguments.dtype, **versions}
