"""Builds the C++ program, unless it is up to date with the installed torch.

Needs a C++ compiler, cmake and ninja. A checkout keeps the program in cpp/build; an installed
package, or a checkout that cannot be written and has no current program, in the user's cache
(cache.py). Imports no torch. The command `python -m deploybench.native.build` builds the program
and does nothing the second time.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ..errors import BackendUnavailable, DeploybenchError
from ..files import replacing
from ..installation import CACHE_VARIABLE, cpp_sources, is_checkout
from .build_inputs import STAMP, Library, fingerprint, program_definitions
from .tools import build_tool, find_compiler, is_noexec

SOURCE = cpp_sources()
BUILD = SOURCE / "build"
SANITIZED_BUILD = SOURCE / "build-sanitized"
NAME = "model_runner"
DEADLINE_SECONDS = 900


def ensure_runner(source: Path = SOURCE, build: Path | None = None, sanitize: bool = False) -> Path:
    """The path of the program, built first if its sources, compiler or torch have changed.

    build: the folder to build it in; None for cpp/build or the cache. sanitize: build with the
    address and undefined-behaviour sanitizers, which stop the program at an error; use a separate
    folder, SANITIZED_BUILD. Raises BackendUnavailable, with what would fix it, if it cannot be
    built.
    """
    in_place = build is not None or builds_in_place()
    folder = build or BUILD
    definitions = program_definitions(sanitize)
    # Asked before anything is written: a checkout may be read-only, or without locks.
    if (in_place or _has_program(folder)) and _is_current(source, folder, definitions):
        return folder / NAME
    if not in_place:
        from .cache import cached_runner

        return cached_runner(source)
    with one_at_a_time(folder):
        if not _is_current(source, folder, definitions):
            compiler = find_compiler()
            announce(folder / NAME, compiler)
            with _keeping(folder / NAME, folder / STAMP):
                build_in(source, folder, definitions, compiler)
                with replacing(folder / STAMP) as unfinished:
                    unfinished.write_text(f"{fingerprint(source, definitions)}\n{compiler}")
    return folder / NAME


def _has_program(folder: Path) -> bool:
    """Whether a checkout's folder has a program that may be started."""
    return is_checkout() and os.access(folder / NAME, os.X_OK) and not is_noexec(folder)


def _is_current(source: Path, build: Path, definitions: Mapping[str, str]) -> bool:
    """Whether the folder has a program of these sources, this torch and this compiler, if any."""
    try:
        recorded = (build / STAMP).read_text()
    except OSError:
        return False
    built_from, _, built_with = recorded.partition("\n")
    if not (build / NAME).exists() or built_from != fingerprint(source, definitions):
        return False
    try:
        return built_with == find_compiler()
    except BackendUnavailable:
        return True  # a built program needs none


@contextmanager
def _keeping(program: Path, stamp: Path) -> Iterator[None]:
    """A context in which a program is built; if that fails, the one from before is put back."""
    files = [path for path in (program, stamp) if path.exists()]
    before = {path: path.with_name(f"{path.name}.before") for path in files}
    for path, aside in before.items():
        shutil.copy2(path, aside)
    stamp.unlink(missing_ok=True)
    try:
        yield
    except BaseException:
        for path, aside in before.items():
            aside.replace(path)
        raise
    finally:
        for aside in before.values():
            aside.unlink(missing_ok=True)


def build_target(name: str, **definitions: Path) -> None:
    """Build another target of cpp/CMakeLists.txt beside the program, unless it is up to date.

    definitions: the CMake variables that it needs. The program must have been built before. Raises
    BackendUnavailable if the build fails.
    """
    library = Library.of(SOURCE, name, definitions)
    if not builds_in_place():
        from .cache import cache_library

        if ensure_runner() != BUILD / NAME:
            cache_library(library)
        elif not library.is_current(BUILD):
            raise BackendUnavailable(
                f"{library.file} is missing in {BUILD}, or not of these sources, and that folder "
                "cannot be written: make it writable, or build there as a user who can write it"
            )
        return
    with one_at_a_time(BUILD):
        cmake = build_tool("cmake")
        configure = _configuration(cmake, SOURCE, BUILD, library.definitions, find_compiler())
        _forget_other_place(BUILD)
        _run([configure, [cmake, "--build", str(BUILD), "--target", name]], BUILD / f"{name}.log")
        library.stamp(BUILD)


def _forget_other_place(build: Path) -> None:
    """Remove cmake's cache if it was written for a folder at another place, which cmake refuses."""
    cache = build / "CMakeCache.txt"
    with suppress(OSError):
        if f"CMAKE_CACHEFILE_DIR:INTERNAL={build}\n" not in cache.read_text(errors="replace"):
            cache.unlink()


def builds_in_place() -> bool:
    """Whether cpp/build is the place: in a checkout that can be written and started from."""
    folder = BUILD if BUILD.exists() else SOURCE
    return is_checkout() and os.access(folder, os.W_OK) and not is_noexec(SOURCE)


def announce(program: Path, compiler: str) -> None:
    """Tell why nothing else happens for a minute."""
    print(f"building {program} with {compiler} (about a minute)", file=sys.stderr, flush=True)


@contextmanager
def one_at_a_time(build: Path) -> Iterator[None]:
    """A context in which no other process builds in the same folder.

    Where the file system has no locks, it says so and goes on.
    """
    with ExitStack() as stack:
        try:
            build.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((build / "lock").open("w"))
        except OSError as error:
            raise BackendUnavailable(
                f"{build} cannot be written ({error.strerror}); make it writable"
                + ("" if build.parent == SOURCE else f", or set {CACHE_VARIABLE} to another folder")
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            print(
                f"{build} has no file locks ({error.strerror}); do not build there twice at once",
                file=sys.stderr,
            )
        yield


def build_in(
    source: Path,
    build: Path,
    definitions: Mapping[str, str],
    compiler: str,
    target: str = "all",
) -> None:
    """Configure and build `target` of the sources in the folder `build`."""
    cmake = build_tool("cmake")
    log = build / "build.log"
    configure = _configuration(cmake, source, build, definitions, compiler)
    # With a cache of another compiler or checkout, cmake would fail.
    (build / "CMakeCache.txt").unlink(missing_ok=True)
    _run([configure, [cmake, "--build", str(build), "--target", target]], log)


def _configuration(
    cmake: str, source: Path, build: Path, definitions: Mapping[str, str], compiler: str
) -> list[str]:
    """The command that configures a build."""
    ninja = build_tool("ninja")
    configure = [cmake, "-G", "Ninja", "-S", str(source), "-B", str(build)]
    configure += [f"-DCMAKE_MAKE_PROGRAM={ninja}", f"-DCMAKE_CXX_COMPILER={compiler}"]
    configure += [f"-D{name}={value}" for name, value in definitions.items()]
    # The process does not get the variable, but may need the libraries of its compiler from there.
    paths = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    folders = [path for path in paths if path and Path(path).is_dir()]
    return [*configure, f"-DLIBRARY_PATH={';'.join(folders)}"]


def _run(commands: Sequence[list[str]], log: Path) -> None:
    with log.open("w") as output:
        for command in commands:
            try:
                subprocess.run(
                    command,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    check=True,
                    timeout=DEADLINE_SECONDS,
                )
            except (subprocess.SubprocessError, OSError) as error:
                tool = Path(command[0])
                if isinstance(error, PermissionError) and is_noexec(tool.parent):
                    raise BackendUnavailable(
                        f"{tool} cannot be started, because {tool.parent} is mounted noexec; "
                        "install it elsewhere"
                    ) from error
                raise BackendUnavailable(
                    f"the C++ program cannot be built: {_first_error(log) or error}; see {log}"
                ) from error


def _first_error(log: Path) -> str:
    """The first line of the log that mentions an error."""
    for line in log.read_text(errors="replace").splitlines():
        if "error" in line.lower():
            return line.strip()
    return ""


def main() -> int:
    """Build the program. If that fails, print why in one line; the exit code is still 0.

    Without the C++ program, its cases are skipped and everything else works.
    """
    from .operators import ensure_operators

    try:
        ensure_runner()
        with suppress(BackendUnavailable):  # `load` says why, for a model that needs them
            ensure_operators()
    except DeploybenchError as error:
        print(f"the cpp backend will be skipped: {error}", file=sys.stderr)
    except OSError as error:
        place = f"'{error.filename}': " if error.filename else ""
        words = f"{place}{error.strerror or error}"
        print(f"the cpp backend will be skipped: {words}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
