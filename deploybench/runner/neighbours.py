"""Copies of a model, each in a process of its own, that call it while a session of it is timed.

Several processes on one GPU or socket take caches, memory bandwidth and cores from each other. This
measures what that costs: the session's samples are of calls beside its neighbours, and each of
them times its own calls too. This file is also the program of a neighbour, which reads one word a
line:

begin   call the model again and again; the reply `begun` comes after the first call
end     stop; the reply is `ended`
report  the reply is the median in seconds of the calls since the last report, or null
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import IO, Any

from torch import nn

from .. import processes
from ..backends.base import Backend, Session
from ..batches import Batch
from ..errors import BackendFailed, printable
from ..machine import cpus
from ..models import Model
from ..native.process import scrubbed_environment
from ..temporary import TemporaryFolder
from . import cold_start

READY, BEGIN, BEGUN, END, ENDED, REPORT = "ready", "begin", "begun", "end", "ended", "report"
SECONDS_TO_OPEN = cold_start.DEADLINE
SECONDS_TO_REPLY = 300.0
SECONDS_TO_LEAVE = 5.0
WARM_UP_CALLS = 5


class Neighbour:
    """One process. words: its command. folder: for its files."""

    def __init__(self, words: Sequence[str], folder: Path) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        with cpus.released():
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
                env=processes.importing({**scrubbed_environment(), "TMPDIR": str(folder)}),
                start_new_session=True,
            )

    def say(self, word: str) -> None:
        """Send a word; a neighbour that has ended is noticed when it does not reply."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{word}\n".encode())

    def reply(self, deadline: float = SECONDS_TO_REPLY) -> str:
        """The next line. Raises BackendFailed if there is none within so many seconds."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], deadline)[0]:
            raise BackendFailed(f"a neighbour gave no reply within {deadline:g} s")
        line = self._process.stdout.readline().decode().strip()
        if not line:
            raise BackendFailed(f"a neighbour ended; its last words: {self._last_words()}")
        return line

    def _last_words(self) -> str:
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        return printable(said[-1]) if said else "none"

    def leave(self) -> None:
        """Let it end by itself, as soon as it has removed its files."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def close(self) -> None:
        """Wait for a neighbour that was let go, then end it, and all that it has started."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(SECONDS_TO_LEAVE)
        processes.kill_group(self._process)
        self._process.wait()
        for file in (self._process.stdin, self._process.stdout, self._errors):
            assert file is not None
            file.close()


class Neighbours:
    """`count` copies of a model through a backend, which are opened when they are first needed.

    module: the model with its weights, for backends without an artifact. batch: their input.
    include_copies: as in Session.timed.
    """

    def __init__(
        self,
        count: int,
        backend: Backend,
        model: Model,
        module: nn.Module,
        artifact: Path | None,
        batch: Batch,
        include_copies: bool = False,
    ) -> None:
        self._count = count
        self._given = backend, model, module, artifact, batch
        self._flag = str(int(include_copies))
        self._neighbours: list[Neighbour] = []
        self._folder: TemporaryFolder | None = None

    def _open(self) -> None:
        folder = self._folder = TemporaryFolder()
        given = cold_start.handed_over(folder.path, *self._given)
        words = [sys.executable, "-m", __name__, *given, self._flag]
        self._neighbours = [Neighbour(words, folder.path) for _ in range(self._count)]
        self._await(SECONDS_TO_OPEN)

    @contextmanager
    def calling(self) -> Iterator[None]:
        """A context in which all neighbours call the model. Raises BackendFailed if one fails.

        If anything is raised, all neighbours are ended, as they would disturb what is timed next.
        """
        if not self._neighbours:
            self._open()
        try:
            self._tell(BEGIN)
            yield
            self._tell(END)
        except BaseException:
            self.close()
            raise

    def _tell(self, word: str) -> None:
        for neighbour in self._neighbours:
            neighbour.say(word)
        self._await(SECONDS_TO_REPLY)

    def _await(self, deadline: float) -> None:
        for neighbour in self._neighbours:
            neighbour.reply(deadline)

    def medians(self) -> list[float]:
        """The median seconds of each neighbour's calls since this was last asked."""
        for neighbour in self._neighbours:
            neighbour.say(REPORT)
        found = [json.loads(neighbour.reply()) for neighbour in self._neighbours]
        return [each for each in found if each is not None]

    def close(self) -> None:
        """End all processes and remove their files."""
        neighbours, self._neighbours = self._neighbours, []
        for neighbour in neighbours:
            neighbour.leave()
        for neighbour in neighbours:
            neighbour.close()
        if self._folder is not None:
            self._folder.close()


class BesideNeighbours(Session):
    """A session whose calls are timed while its neighbours call the model too."""

    def __init__(self, session: Session, neighbours: Neighbours) -> None:
        self.clock = session.clock  # type: ignore[misc]
        self.positional = session.positional
        self._session = session
        self._neighbours = neighbours

    def put(self, batch: Batch) -> None:
        """Place `batch` as the session's input; that of the neighbours stays."""
        self._session.put(batch)

    def run(self) -> None:
        """Call the model once, alone."""
        self._session.run()

    def output(self) -> Any:
        """Fetch the output of the latest call."""
        return self._session.output()

    def timed(self, count: int, include_copies: bool = False) -> list[float]:
        """The seconds of each of `count` calls beside the neighbours."""
        with self._neighbours.calling():
            return self._session.timed(count, include_copies)

    def queued(self, count: int, include_copies: bool = False) -> float:
        """The total seconds of `count` calls beside the neighbours."""
        with self._neighbours.calling():
            return self._session.queued(count, include_copies)

    def device_timed(self, count: int) -> list[float]:
        """The seconds of `count` calls beside the neighbours between two CUDA events."""
        with self._neighbours.calling():
            return self._session.device_timed(count)

    def rest(self) -> bool:
        """Wait until the session's threads are idle, once the neighbours have ended their calls."""
        return self._session.rest()

    def neighbours(self) -> list[float]:
        """The median seconds of each neighbour's calls since this was last asked."""
        return self._neighbours.medians()


def main() -> None:
    """Be a neighbour, until the standard input ends."""
    *given, include_copies = sys.argv[1:]
    reply = processes.own_stdout()
    backend, session, batch = cold_start.opened(cold_start.parsed(given))
    flag = bool(int(include_copies))
    session.put(batch)
    session.timed(WARM_UP_CALLS, flag)
    print(READY, file=reply, flush=True)
    samples: list[float] = []
    rests = True
    commands = os.fdopen(os.dup(0), "rb", buffering=0)  # unbuffered: select sees what is unread
    while word := commands.readline().decode().strip():
        if word == BEGIN:
            session.timed(1, flag)
            print(BEGUN, file=reply, flush=True)
            called: list[float] = []
            while not select.select([commands], [], [], 0)[0]:
                called += session.timed(1, flag)
            samples += called[:-1]  # others may have ended during the last one
        elif word == END:
            rests = rests and session.rest()
            print(ENDED, file=reply, flush=True)
        elif word == REPORT:
            print(json.dumps(median(samples) if samples else None), file=reply, flush=True)
            samples.clear()
    session.close()
    backend.close()


if __name__ == "__main__":
    main()
