"""Lets pytest-benchmark write each of its files whole or not at all, and notes where they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pytest_benchmark.storage.file import FileStorage
from pytest_benchmark.utils import safe_dumps

from ..files import replacing


def json_path(given: Any) -> Path | None:
    """The file of --benchmark-json; versions before 5.3 of pytest-benchmark open it at once."""
    if not given:
        return None
    return Path(given if isinstance(given, str | os.PathLike) else given.name)


class WholeFile(type(Path())):  # type: ignore[misc] # the class of this system's paths
    """A path that exists once all of its file was written: a part of a run would block its name."""

    @contextmanager
    def open(self, mode: str = "r", *rest: Any, **more: Any) -> Iterator[IO[Any]]:
        """Open the file that takes this path's place at the end; it is for writing."""
        with replacing(Path(self)) as unfinished, unfinished.open(mode, *rest, **more) as file:
            yield file


class Written:
    """The files that pytest-benchmark's session has written since, in `paths`."""

    def __init__(self, benchmarks: Any) -> None:
        self.paths: list[Path] = []
        self._benchmarks = benchmarks
        if isinstance(benchmarks.storage, FileStorage):
            self._get = benchmarks.storage.get
            benchmarks.storage.get = self._whole  # type: ignore[method-assign]
        benchmarks.save_json = self._save_json

    def _whole(self, name: str) -> Path:
        path = self._get(name)
        self.paths.append(path)
        return WholeFile(path)

    def _save_json(self, content: object) -> None:
        """What pytest-benchmark does for --benchmark-json."""
        path, log = json_path(self._benchmarks.json), self._benchmarks.logger
        assert path is not None
        text = safe_dumps(content, ensure_ascii=True, indent=4).encode()
        if path.exists() and not path.is_file():
            path.write_bytes(text)  # such as /dev/stdout, which cannot be replaced or read back
        else:
            with replacing(path) as unfinished:
                unfinished.write_bytes(text)
            self.paths.append(path)
        log.info(f"Wrote benchmark data in: {path}", purple=True)
