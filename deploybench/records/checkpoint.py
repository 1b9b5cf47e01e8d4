"""Writes a run to disk model by model, so that an interruption loses one model at most.

A journal is a folder. run.json identifies the run, and each model and batch size has a file with
its cases, which is written as soon as they are measured. (They are timed interleaved, so they are
done at the same time.) A journal can be read like a saved run, and `--resume` continues from it. It
is removed when the whole run is saved. Imports no torch.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import FileError, UsageError
from ..files import replacing
from .fields import parsed
from .record import CaseRecord, RunRecord

FOLDER = "unfinished"
HEADER = "run.json"


class Journal:
    """The folder of one unfinished run.

    run: its record so far, without cases. If the folder already exists, its contents are kept.
    """

    def __init__(self, folder: Path, run: RunRecord) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"{folder} cannot be created: {error.strerror}") from error
        if not (folder / HEADER).exists():
            header = run.to_json()
            del header["benchmarks"]
            self._write(HEADER, header)

    def put(self, name: str, cases: Sequence[CaseRecord]) -> None:
        """Write `cases` to the disk under `name`, replacing any earlier ones.

        Raises FileError if they cannot be written.
        """
        self._write(f"{name}.json", [case.to_json() for case in cases])

    def remove(self) -> None:
        """Remove the folder, after the whole run was saved."""
        shutil.rmtree(self.folder, ignore_errors=True)

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


def read(folder: Path) -> RunRecord:
    """The run of a journal, as far as it got. Raises FileError for a damaged journal."""
    if not (folder / HEADER).is_file():
        raise FileError(f"{folder} is not an unfinished run: it has no {HEADER}")
    header = _read(folder / HEADER, dict)
    models = [path for path in sorted(folder.glob("*.json")) if path.name != HEADER]
    cases = [case for path in models for case in _read(path, list)]
    return RunRecord.from_json({**header, "benchmarks": cases}, folder)


def _read(path: Path, kind: type) -> Any:
    try:
        content = parsed(path.read_text(encoding="utf-8"))
        if not isinstance(content, kind):
            raise ValueError(f"it does not contain a {kind.__name__}")
    except (OSError, ValueError, RecursionError) as error:
        raise FileError(f"{path} is damaged ({error}); remove it") from error
    return content


@contextmanager
def one_at_a_time(storage: Path) -> Iterator[None]:
    """A context in which no other process saves to `storage`, because saving numbers the runs."""
    storage.mkdir(parents=True, exist_ok=True)
    with (storage / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
