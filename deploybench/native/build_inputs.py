"""What a build of the C++ sources is made from, to tell whether it is up to date."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..files import replacing
from .tools import find_torch

STAMP = "built-from"


def program_definitions(sanitize: bool = False) -> dict[str, str]:
    """The CMake variables of the program, for the installed torch."""
    return {"TORCH_DIR": str(find_torch()), "SANITIZE": "ON" if sanitize else "OFF"}


def fingerprint(source: Path, definitions: Mapping[str, str]) -> str:
    """A hash of the sources, the definitions and the torch that the program is built from."""
    digest = hashlib.sha256(repr(sorted(definitions.items())).encode())
    digest.update((Path(definitions["TORCH_DIR"]) / "version.py").read_bytes())
    files = [path for path in source.iterdir() if path.suffix in (".cpp", ".h", ".txt")]
    for path in sorted(files):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Library:
    """A library that is built beside the program, from the same sources.

    target: its name in cpp/CMakeLists.txt. definitions: the CMake variables, with the program's.
    built_from: a hash of the sources and torch, and the times of the files that it needs beside.
    """

    target: str
    source: Path
    definitions: Mapping[str, str]
    built_from: str

    @classmethod
    def of(cls, source: Path, target: str, needs: Mapping[str, Path]) -> Library:
        """The library of a target. needs: the CMake variables that are its own, all of them paths.

        Raises OSError if one of those files is missing.
        """
        own = {name: str(path) for name, path in needs.items()}
        definitions = program_definitions() | own
        times = [path.stat().st_mtime_ns for path in needs.values()]
        return cls(target, source, definitions, f"{fingerprint(source, definitions)} {times}")

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"lib{self.target}.so"

    def is_current(self, folder: Path) -> bool:
        """Whether the folder has it, built from just that."""
        try:
            recorded = self._stamp(folder).read_text()
        except OSError:
            return False
        return (folder / self.file).exists() and recorded == self.built_from

    def stamp(self, folder: Path) -> None:
        """Write down what it was built from, for is_current."""
        with replacing(self._stamp(folder)) as unfinished:
            unfinished.write_text(self.built_from)

    def _stamp(self, folder: Path) -> Path:
        return folder / f"{self.target}.{STAMP}"
