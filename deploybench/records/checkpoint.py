"""Writes a run to disk model by model, so that an interruption loses one model at most.

A journal is a folder. run.json identifies the run, and each model and batch size has a file with
its cases, which is written as soon as they are measured. (They are timed interleaved, so they are
done at the same time.) A journal can be read like a saved run, and `--resume` continues from it. It
is removed when a saved run holds all of it. One process at a time writes to it. Imports no torch.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from ..errors import FileError, UsageError
from ..files import replacing
from .fields import parsed
from .record import CaseRecord, RunRecord

FOLDER = "unfinished"
HEADER = "run.json"
LOCK = ".lock"


class Journal:
    """The folder of one unfinished run.

    run: its record so far, without cases. If the folder already exists, its contents are kept.
    Raises UsageError if another process writes to it.
    """

    def __init__(self, folder: Path, run: RunRecord) -> None:
        self.folder = folder
        self._own: set[str] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"{folder} cannot be created: {error.strerror}") from error
        lock(folder)
        if not (folder / HEADER).exists():
            header = run.to_json()
            del header["benchmarks"]
            self._write(HEADER, header)

    def put(self, name: str, cases: Sequence[CaseRecord]) -> None:
        """Write `cases` to the disk under `name`, replacing any earlier ones of this process.

        What an earlier process measured and these do not replace goes to a journal of its own.
        Raises FileError if they cannot be written.
        """
        if name not in self._own:
            self._set_aside(name, cases)
        self._write(f"{name}.json", [case.to_json() for case in cases])
        self._own.add(name)

    def _set_aside(self, name: str, cases: Sequence[CaseRecord]) -> None:
        """Keep the cases under `name` in another journal, unless `cases` replace all of them.

        They cannot stay: samples of different times are no pairs.
        """
        if not (self.folder / f"{name}.json").exists():
            return
        run = read(self.folder, [f"{name}.json"])
        if {_conditions(case) for case in run.cases} <= {_conditions(case) for case in cases}:
            return
        about = replace(run, cases=(), identity=run.identity and f"{run.identity}-earlier")
        aside = Journal(self.folder.with_name(f"{self.folder.name}-earlier"), about)
        aside.put(name, run.cases)

    def is_empty(self) -> bool:
        """Whether no case was put into it."""
        return all(path.name == HEADER for path in self.folder.glob("*.json"))

    def hint(self) -> str:
        """What to tell the user of a journal that stays."""
        return (
            f"the finished models are in {self.folder}; continue with --resume {self.folder.name}"
        )

    def remove(self) -> None:
        """Remove the folder, after all of it was saved."""
        shutil.rmtree(self.folder, ignore_errors=True)
        unlock(self.folder)

    def _write(self, name: str, content: object) -> None:
        with replacing(self.folder / name) as unfinished:
            unfinished.write_text(json.dumps(content), encoding="utf-8")


def new_folder(storage: Path, name: str) -> Path:
    """The folder for the journal of a run that starts now."""
    return storage / FOLDER / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


def find(storage: Path, name: str) -> Path:
    """The journal that `--resume NAME` means: a folder, or the name of one in `storage`.

    Raises UsageError if it does not exist.
    """
    for folder in (Path(name), storage / FOLDER / name):
        if (folder / HEADER).is_file():
            return folder
    there = sorted(header.parent.name for header in (storage / FOLDER).glob(f"*/{HEADER}"))
    raise UsageError(
        f"--resume '{name}': no unfinished run in {storage / FOLDER}; "
        f"the unfinished runs there: {', '.join(there) or 'none'}"
    )


def read(folder: Path, names: Sequence[str] | None = None) -> RunRecord:
    """The run of a journal, as far as it got. Raises FileError for a damaged journal.

    names: of its files, those to read; by default all.
    """
    if not (folder / HEADER).is_file():
        raise FileError(f"{folder} is not an unfinished run: it has no {HEADER}")
    header = _read(folder / HEADER, dict)
    found = folder.glob("*.json") if names is None else [folder / name for name in names]
    models = [path for path in sorted(found) if path.name != HEADER]
    cases = [case for path in models for case in _read(path, list)]
    return RunRecord.from_json({**header, "benchmarks": cases}, folder)


def _conditions(case: CaseRecord) -> tuple[object, ...]:
    """What a newer measurement of a case must share with it to take its place."""
    return case.model, case.backend, case.batch_size, case.weights_digest


def _read(path: Path, kind: type) -> Any:
    try:
        content = parsed(path.read_text(encoding="utf-8"))
        if not isinstance(content, kind):
            raise ValueError(f"it does not contain a {kind.__name__}")
    except (OSError, ValueError, RecursionError) as error:
        raise FileError(f"{path} is damaged ({error}); remove it") from error
    return content


_held: dict[tuple[int, Path], IO[str]] = {}
"""The locks of this process, and of the one that forked it."""


def lock(folder: Path) -> None:
    """Keep other processes from writing to a journal, until this one ends or removes it.

    Raises UsageError if another process does; where there are no locks, there is no protection.
    """
    key = os.getpid(), folder.resolve()
    if key in _held:
        return
    try:
        file = (folder / LOCK).open("a+")
    except OSError:
        return  # where nothing can be written, the next write says so
    try:
        # Not flock, which a forked child would go on holding.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        file.seek(0)
        holder = file.read(20).strip() or "unknown"
        file.close()
        raise UsageError(
            f"--resume {folder.name}: another process (id {holder}) is writing that run; wait "
            "until it has ended, or start a new one without --resume"
        ) from None
    except OSError:
        file.close()
        return
    with suppress(OSError):  # a full disk; it is only a name for messages
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
    _held[key] = file


def unlock(folder: Path) -> None:
    """Let other processes write to a journal."""
    file = _held.pop((os.getpid(), folder.resolve()), None)
    if file is not None:
        with suppress(OSError):
            file.close()


@contextmanager
def one_at_a_time(storage: Path) -> Iterator[None]:
    """A context in which no other process saves to `storage`, because saving numbers the runs."""
    storage.mkdir(parents=True, exist_ok=True)
    with (storage / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
