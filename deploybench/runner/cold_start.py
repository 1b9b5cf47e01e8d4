"""Measures a cold start: the time from the start of a process to its first answer, and its memory.

A backend that runs in a C++ process gets a fresh one. For all others, this file is a program: it
imports what the backend needs, opens the artifact (or the model's weights, if there is no
artifact), answers one batch and reports it. Compiled code is not reused, because caches are
private.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from .. import processes, settings
from ..backends import registry
from ..backends.base import Backend, Session
from ..batches import Batch
from ..errors import BackendFailed
from ..models import Model, heads, references
from ..native.process import scrubbed_environment
from ..settings import Settings
from ..temporary import TemporaryFolder
from ..timing.protocol import stopwatch

DEADLINE = 900.0
ANSWERED = "answered; the peak of its resident bytes: "


@dataclass(frozen=True)
class ColdStart:
    """A fresh process, up to its first answer.

    seconds: since its start. peak_bytes: the peak of its resident memory; None if unknown.
    """

    seconds: float
    peak_bytes: int | None


def start(
    backend: Backend, model: Model, module: nn.Module, artifact: Path | None, batch: Batch
) -> ColdStart:
    """Start a process that opens the artifact and answers `batch`.

    module: the model with its weights, for backends without an artifact. Raises BackendFailed if
    the process does not answer or cannot find the model.
    """
    if not backend.needs_python:
        fresh = type(backend)(backend.settings)
        try:
            return _answered_by(fresh, module, artifact, batch)
        finally:
            fresh.close()
    with TemporaryFolder() as folder:
        words = handed_over(folder, backend, model, module, artifact, batch)
        command = [sys.executable, "-m", __name__, *words]
        # Its temporary files are removed with the folder.
        environment = {**scrubbed_environment(), "TMPDIR": str(folder)}
        said, seconds = stopwatch(lambda: _last_line(command, environment))
        return ColdStart(seconds, json.loads(said.removeprefix(ANSWERED)))


def handed_over(
    folder: Path,
    backend: Backend,
    model: Model,
    module: nn.Module,
    artifact: Path | None,
    batch: Batch,
) -> list[str]:
    """The arguments of a process that opens the model; what they name is written to `folder`.

    Raises BackendFailed if a fresh process cannot find the model.
    """
    if artifact is None and model.reference is None:
        raise BackendFailed(
            f"{model.name} has no reference, so a fresh process cannot build it; define it in an "
            "importable module and set reference='package.module:ATTRIBUTE'"
        )
    given, state = folder / "batch.pt", folder / "weights.pt"
    _save(batch, given)
    if artifact is None:
        _save(module.state_dict(), state)
    words = [backend.name, model.reference or "", str(artifact or state), str(given)]
    return [*words, json.dumps(asdict(backend.settings))]


def _save(content: object, path: Path) -> None:
    """Write a file for torch.load, by way of memory: without room for it, torch would abort."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path.write_bytes(buffer.getbuffer())


def _answered_by(
    backend: Backend, module: nn.Module, artifact: Path | None, batch: Batch
) -> ColdStart:
    """The cold start of the backend's own process."""

    def answer() -> Session:
        session = backend.load(module, artifact)
        session.predict(batch)
        return session

    session, seconds = stopwatch(answer)
    return ColdStart(seconds, session.peak_resident_bytes())


def _last_line(command: list[str], environment: dict[str, str]) -> str:
    """The line that the program prints when it has answered."""
    ended = processes.run(command, DEADLINE, environment)
    said = ended.stdout.strip().splitlines() or [""]
    if not said[-1].startswith(ANSWERED):
        last = ended.stderr.strip().splitlines() or ["none"]
        raise BackendFailed(f"a fresh process gave no answer; its last words: {last[-1]}")
    return said[-1]


def main() -> None:
    """Answer once, in this process."""
    given = parsed(sys.argv[1:])
    reply = processes.own_stdout()
    _backend, session, batch = opened(given)
    session.predict(batch)
    peak = json.dumps(processes.peak_resident_bytes(os.getpid()))
    print(ANSWERED + peak, file=reply, flush=True)
    # Only the answer matters; do not wait for the runtime to shut down.
    os._exit(0)


def parsed(words: Sequence[str]) -> argparse.Namespace:
    """The arguments that `handed_over` made."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("backend", "model", "file", "batch", "settings"):
        parser.add_argument(name)
    return parser.parse_args(words)


def opened(given: argparse.Namespace) -> tuple[Backend, Session, Batch]:
    """The backend, which must be kept as long as its session, the session, and the batch."""
    chosen = Settings(**json.loads(given.settings))
    settings.apply(chosen)
    backend = registry()[given.backend](chosen)
    backend.require()
    file = Path(given.file)
    module = nn.Module()
    if backend.format is None:
        module = (
            references.find(given.model).built().to(chosen.device, getattr(torch, chosen.dtype))
        )
        if chosen.channels_last:
            module = module.to(memory_format=torch.channels_last)
        state = torch.load(file, map_location=chosen.device, weights_only=True)
        # A state dict of the user's may have given the model another head.
        heads.resize(module, state)
        module.load_state_dict(state)
    artifact = None if backend.format is None else file
    session = backend.load(module, artifact)
    return backend, session, torch.load(given.batch, weights_only=True)


if __name__ == "__main__":
    main()
