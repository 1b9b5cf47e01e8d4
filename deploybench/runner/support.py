"""Surveys which backend gives the right answer for which model, and writes a page of it.

Each model is checked in a separate process, because a crash of a library is a finding too. Imports
no torch; `python -m deploybench.runner.support_worker` does.
"""

from __future__ import annotations

import html
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..errors import FileError, UsageError, printable
from ..files import replacing
from ..machine import cpus
from ..processes import importing, kill_group
from ..tasks import fidelity
from ..tasks.agreement import DIFFERENT, EQUAL_WITHIN_ROUNDING, EXACT
from ..temporary import TemporaryFolder

NO_EXPORT, FAILS, CRASHES, SKIPPED = "does not export", "fails", "crashes", "skipped"
OUTCOMES = (EXACT, EQUAL_WITHIN_ROUNDING, DIFFERENT, NO_EXPORT, FAILS, CRASHES, SKIPPED)


@dataclass(frozen=True)
class Finding:
    """The result of a model through a backend, and the reason in one line.

    outcome: one of OUTCOMES or, of reduced precision, of fidelity.STATUSES.
    """

    outcome: str
    reason: str = ""


@dataclass
class Survey:
    """Findings by model and backend, and the conditions that all of them share."""

    conditions: Mapping[str, str]
    findings: dict[tuple[str, str], Finding] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the survey as JSON."""
        cases = [
            {"model": model, "backend": backend, **asdict(finding)}
            for (model, backend), finding in sorted(self.findings.items())
        ]
        with replacing(path) as unfinished:
            document = {"conditions": dict(self.conditions), "cases": cases}
            unfinished.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read(path: Path, conditions: Mapping[str, str]) -> Survey:
    """Read an earlier survey; an empty one if there is no file.

    Raises FileError for a file that is not a survey, and UsageError for one made under other
    conditions.
    """
    if not path.exists():
        return Survey(conditions)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        made_under = dict(document["conditions"])
        findings = {
            (case["model"], case["backend"]): Finding(case["outcome"], case["reason"])
            for case in document["cases"]
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path} is not a survey ({error}); remove it, or name another") from error
    differing = sorted(
        name for name in {*made_under, *conditions} if made_under.get(name) != conditions.get(name)
    )
    if differing:
        raise UsageError(
            f"{path} was made with another {', '.join(differing)}; remove it, or name another"
        )
    return Survey(conditions, findings)


def survey(
    due: Mapping[str, Sequence[str]],
    arguments: Sequence[str],
    deadline: float,
    found: Callable[[str, str, Finding], None],
    processes: int = 1,
) -> None:
    """Check each model of `due`, by reference, through its backends, `processes` at a time.

    found: called with reference, backend and each finding, never concurrently. arguments: of the
    worker, after the model and its backends. deadline: seconds for each case.
    """
    one_at_a_time, stopped = threading.Lock(), threading.Event()
    workers: set[subprocess.Popen[bytes]] = set()

    def take(model: str) -> None:
        def note(backend: str, finding: Finding) -> None:
            with one_at_a_time:
                if stopped.is_set():
                    raise KeyboardInterrupt
                found(model, backend, finding)

        if not stopped.is_set():
            survey_model(model, due[model], arguments, deadline, note, workers)

    with ThreadPoolExecutor(processes) as pool:
        try:
            list(pool.map(take, due))
        except BaseException:
            # The threads that wait for these workers see them end, but note no findings any more.
            stopped.set()
            for worker in list(workers):
                kill_group(worker)
            raise


def survey_model(
    model: str,
    backends: Sequence[str],
    arguments: Sequence[str],
    deadline: float,
    found: Callable[[str, Finding], None],
    workers: set[subprocess.Popen[bytes]] | None = None,
) -> None:
    """Check the model of that reference through each of `backends`.

    found: called with backend and each finding. arguments: of the worker, after the model and its
    backends. deadline: seconds for each backend. workers: contains the process while it runs.
    """
    workers = set() if workers is None else workers
    remaining = list(backends)
    while remaining:
        command = [
            sys.executable,
            "-m",
            "deploybench.runner.support_worker",
            model,
            ",".join(remaining),
        ]
        for backend, finding in _findings([*command, *arguments], deadline, remaining, workers):
            found(backend, finding)
            remaining.remove(backend)


def _findings(
    command: Sequence[str],
    deadline: float,
    backends: Sequence[str],
    workers: set[subprocess.Popen[bytes]],
) -> Iterator[tuple[str, Finding]]:
    """The findings of a worker, line by line; if it ends early, also that of the current case."""
    due = list(backends)
    # Files left by a crashed worker are removed with its folder.
    folder = TemporaryFolder()
    with cpus.released():
        worker = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**importing(os.environ), "TMPDIR": str(folder.path)},
        )
    workers.add(worker)
    try:
        for line in _lines(worker, deadline):
            said = json.loads(line)
            due.remove(said["backend"])
            yield said["backend"], Finding(said["outcome"], said["reason"])
        if due:
            yield due[0], _how_it_ended(worker, deadline)
    finally:
        workers.discard(worker)
        kill_group(worker)
        worker.wait()
        if worker.stdout is not None:
            worker.stdout.close()
        folder.close()


def _lines(worker: subprocess.Popen[bytes], deadline: float) -> Iterator[bytes]:
    """The worker's lines, until it ends or takes longer than `deadline` seconds for one."""
    assert worker.stdout is not None
    unread, end = b"", time.monotonic() + deadline
    with selectors.DefaultSelector() as selector:
        selector.register(worker.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, end - time.monotonic())):
            chunk = os.read(worker.stdout.fileno(), 65536)
            if not chunk:
                return
            *lines, unread = (unread + chunk).split(b"\n")
            if lines:
                end = time.monotonic() + deadline
            yield from lines


def _how_it_ended(worker: subprocess.Popen[bytes], deadline: float) -> Finding:
    try:
        code = worker.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return Finding(FAILS, f"no answer within {deadline:g} s")
    how = f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
    return Finding(CRASHES, f"ended {how}")


def to_markdown(survey: Survey, backends: Sequence[str]) -> str:
    """The page: counts by backend, one row per model, and the reasons.

    backends: the columns, from left to right.
    """
    models = sorted({model for model, _ in survey.findings})
    shown = [name for name in backends if any((model, name) in survey.findings for model in models)]
    conditions = ", ".join(f"{name} {value}" for name, value in survey.conditions.items())
    ended = {finding.outcome for finding in survey.findings.values()}
    outcomes = [*OUTCOMES, *(status for status in fidelity.STATUSES if status in ended)]
    lines = [
        "# Which backend gives which model's answer",
        "",
        "Written by `deploybench support`; do not edit. Every backend was checked with eight",
        f"inputs, each model in a separate process. Conditions: {conditions}.",
        "`-`: not tried yet.",
        "",
        _row(["Backend", *outcomes]),
        _row(["---"] * (1 + len(outcomes))),
    ]
    for name in shown:
        counts = Counter(
            finding.outcome for (_, backend), finding in survey.findings.items() if backend == name
        )
        lines.append(_row([name, *(str(counts[outcome]) for outcome in outcomes)]))
    lines += ["", _row(["Model", *shown]), _row(["---"] * (1 + len(shown)))]
    for model in models:
        found = [survey.findings.get((model, name)) for name in shown]
        lines.append(_row([model, *(each.outcome if each else "-" for each in found)]))
    reasons: dict[str, list[str]] = {}
    for (model, name), finding in sorted(survey.findings.items()):
        if finding.reason:
            words = f"{name} {finding.outcome}: {finding.reason}"
            reasons.setdefault(words, []).append(model)
    if reasons:
        lines += ["", "## Why", ""]
    for words, of in sorted(reasons.items()):
        whom = f"all {len(of)} models" if len(of) == len(models) else ", ".join(of)
        lines.append(f"- {_escaped(words)} ({_escaped(whom)})")
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    """Text that neither ends a cell nor is taken for HTML."""
    return html.escape(printable(text), quote=False).replace("|", "\\|")
