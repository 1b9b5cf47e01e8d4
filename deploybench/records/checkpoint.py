"""A run on disk model by model, so that whatever ends it takes no more than the model in hand.

A journal is a folder: run.json says which run it is, and each model and batch size has a file with
its cases, written to the disk as soon as they were measured: they are timed in turn, so all are
done together. It is read like any saved run, and `--resume` goes on from it. It is removed once
the whole run was saved. Imports no torch.
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
from .record import CaseRecord, RunRecord

FOLDER = "unfinished"
HEADER = "run.json"


class Journal:
    """The folder of one run under way.

    run: what is known of it so far, without its cases; a journal that is there already keeps what
    it has.
    """

    def __init__(self, folder: Path, run: RunRecord) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"{folder} cannot be made: {error.strerror}") from error
        if not (folder / HEADER).exists():
            header = run.to_json()
            del header["benchmarks"]
            self._write(HEADER, header)

    def put(self, name: str, cases: Sequence[CaseRecord]) -> None:
        """Put `cases` on the disk under that name, in place of what it stood for.

        Raises FileError where they cannot be written.
        """
        self._write(f"{name}.json", [case.to_json() for case in cases])

    def remove(self) -> None:
        """Forget the run: it was saved whole."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, name: str, content: object) -> None:
        with replacing(self.folder / name) as unfinished:
            unfinished.write_text(json.dumps(content), encoding="utf-8")


def new_folder(storage: Path, name: str) -> Path:
    """Where the journal of a run that begins now is kept."""
    return storage / FOLDER / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


def find(storage: Path, name: str) -> Path:
    """The journal that `--resume NAME` means: a folder, or the name of one in `storage`.

    Raises UsageError where there is none.
    """
    for folder in (Path(name), storage / FOLDER / name):
        if (folder / HEADER).is_file():
            return folder
    there = sorted(header.parent.name for header in (storage / FOLDER).glob(f"*/{HEADER}"))
    raise UsageError(
        f"--resume '{name}': no unfinished run in {storage / FOLDER}; "
        f"there are: {', '.join(there) or 'none'}"
    )


def read(folder: Path) -> RunRecord:
    """The run of a journal, as far as it has got. Raises FileError for a damaged one."""
    if not (folder / HEADER).is_file():
        raise FileError(f"{folder} is not an unfinished run: it has no {HEADER}")
    header = _read(folder / HEADER, dict)
    models = [path for path in sorted(folder.glob("*.json")) if path.name != HEADER]
    cases = [case for path in models for case in _read(path, list)]
    return RunRecord.from_json({**header, "benchmarks": cases}, folder)


def _read(path: Path, kind: type) -> Any:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, kind):
            raise ValueError(f"it holds no {kind.__name__}")
    except (OSError, ValueError, RecursionError) as error:
        raise FileError(f"{path} is damaged ({error}); remove it") from error
    return content


@contextmanager
def one_at_a_time(storage: Path) -> Iterator[None]:
    """Within it, no other process saves a run in `storage`: runs are numbered as they are saved."""
    storage.mkdir(parents=True, exist_ok=True)
    with (storage / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
