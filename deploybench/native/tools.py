"""What the C++ program is built with: torch, a compiler, cmake and ninja. Imports no torch."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from ..errors import BackendUnavailable
from ..installation import install_line


def package_folder(name: str, extra: str) -> Path:
    """The folder of an installed package of an extra, found without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise BackendUnavailable(f"{name} is not installed: {install_line(extra)}")
    return Path(spec.submodule_search_locations[0]).resolve()


def find_torch() -> Path:
    """The folder of the installed torch."""
    return package_folder("torch", "")


def find_compiler() -> str:
    """The C++ compiler: CXX from the environment, else the first of c++, g++ and clang++.

    Raises BackendUnavailable if there is none, and if CXX is set to what is no program.
    """
    if chosen := os.environ.get("CXX"):
        if found := shutil.which(chosen):
            return found
        raise BackendUnavailable(
            f"CXX='{chosen}' is not a program; set it to the path of a C++ compiler, or unset it"
        )
    for name in ("c++", "g++", "clang++"):
        if found := shutil.which(name):
            return found
    raise BackendUnavailable("there is no C++ compiler: install one, for example apt install g++")


def build_tool(name: str) -> str:
    """A tool that pip installs: next to this interpreter, where pip puts it, or on the PATH."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise BackendUnavailable(f"{name} is not installed: {install_line('cpp')}")
    with suppress(BackendUnavailable, OSError), Path(found).open("rb") as file:
        # A script of pip's names its interpreter, so it no longer starts in a moved environment.
        program = package_folder(name, "cpp") / "data" / "bin" / name
        if file.read(2) == b"#!" and os.access(program, os.X_OK):
            return str(program)
    return found


def is_noexec(folder: Path) -> bool:
    """Whether programs and libraries in a folder cannot be started, by how it is mounted."""
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_NOEXEC)
    except OSError:
        return False


def require_loadable() -> None:
    """Raise BackendUnavailable if compiled code in the temporary folder cannot be loaded."""
    folder = tempfile.gettempdir()
    if is_noexec(Path(folder)):
        raise BackendUnavailable(
            f"compiled code cannot be loaded from the temporary folder {folder}, which is mounted "
            "noexec: set TMPDIR to another folder"
        )
