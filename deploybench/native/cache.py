"""The C++ program of an installed package, built on first use into the user's cache.

Each torch, compiler and state of the sources has a folder of its own, so that environments that
differ do not build in turns. What is built appears there complete, by a rename.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ..errors import BackendUnavailable
from ..installation import CACHE_VARIABLE, cache_folder
from . import build as building
from .build_inputs import Library, fingerprint, program_definitions


def cached_runner(source: Path) -> Path:
    """The path of the program, built first if this torch, compiler and sources have none.

    A built program needs no compiler. Raises BackendUnavailable if it cannot be built.
    """
    definitions = program_definitions()
    group = _group(source, definitions)
    try:
        compiler = building.find_compiler()
    except BackendUnavailable:
        built = sorted(group.parent.glob(f"{group.name}-*/{building.NAME}"))
        if not built:
            raise
        return built[0]
    folder = _of_compiler(group, compiler)
    program = folder / building.NAME
    if program.exists():
        return program
    with building.one_at_a_time(folder):
        if not program.exists():
            building.announce(program, compiler)
            _put(building.NAME, source, folder, definitions, compiler, "all")
    return program


def cache_library(library: Library) -> None:
    """Build another library beside the program, unless it is up to date."""
    folder = cached_runner(library.source).parent
    # Asked before anything is written, as the program is: the folder may be read-only.
    if library.is_current(folder):
        return
    with building.one_at_a_time(folder):
        if library.is_current(folder):
            return
        compiler = building.find_compiler()
        _put(library.file, library.source, folder, library.definitions, compiler, library.target)
        library.stamp(folder)


def _put(
    file: str,
    source: Path,
    folder: Path,
    definitions: Mapping[str, str],
    compiler: str,
    target: str,
) -> None:
    """Build `target` apart and move its file into `folder`; the caller holds the folder's lock."""
    apart = folder / "unfinished"
    try:
        # What an earlier build left that failed, with its log, or was killed.
        shutil.rmtree(apart, ignore_errors=True)
        apart.mkdir()
        building.build_in(source, apart, definitions, compiler, target)
        (apart / file).replace(folder / file)
    except OSError as error:
        raise BackendUnavailable(
            f"the C++ program cannot be built in {folder} ({error.strerror}); set "
            f"{CACHE_VARIABLE} to another folder"
        ) from error
    shutil.rmtree(apart, ignore_errors=True)


def _group(source: Path, definitions: Mapping[str, str]) -> Path:
    """The path that the folders of all compilers begin with, for one torch and state of sources."""
    version = (Path(definitions["TORCH_DIR"]) / "version.py").read_text()
    found = re.search(r"__version__ = '([\w.+]+)'", version)
    materials = fingerprint(source, definitions)
    return cache_folder() / f"torch{found[1] if found else ''}-{materials[:16]}"


@cache
def _of_compiler(group: Path, compiler: str) -> Path:
    """The folder of a compiler, by its path and by what it says of its version."""
    try:
        ran = subprocess.run(
            [compiler, "--version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise BackendUnavailable(
            f"the C++ compiler {compiler} cannot be run ({error}); set CXX to another"
        ) from error
    digest = hashlib.sha256(f"{Path(compiler).resolve()}\n{ran.stdout}".encode()).hexdigest()
    return group.with_name(f"{group.name}-{digest[:8]}")
