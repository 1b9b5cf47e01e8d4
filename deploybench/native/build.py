"""Builds the C++ program, unless it is up to date with the installed torch.

Needs a C++ compiler, cmake and ninja. A checkout keeps the program in cpp/build; an installed
package, or a checkout that cannot be written, in the user's cache (cache.py). Imports no torch. The
command `python -m deploybench.native.build` builds the program and does nothing the second time.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ..errors import BackendUnavailable
from ..files import replacing
from ..installation import CACHE_VARIABLE, cpp_sources, install_line, is_checkout

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
    if build is None and not _builds_in_place():
        from .cache import cached_runner

        return cached_runner(source)
    build = build or BUILD
    program, stamp = build / NAME, build / "built-from"
    definitions = definitions_of(find_torch(), sanitize)
    materials = fingerprint(source, definitions)
    with one_at_a_time(build):
        recorded = stamp.read_text() if stamp.exists() else ""
        built_from, _, built_with = recorded.partition("\n")
        is_current = program.exists() and built_from == materials
        try:
            compiler = find_compiler()
        except BackendUnavailable:
            if is_current:
                return program
            raise
        if is_current and built_with == compiler:
            return program
        announce(program, compiler)
        stamp.unlink(missing_ok=True)
        build_in(source, build, definitions, compiler)
        with replacing(stamp) as unfinished:
            unfinished.write_text(f"{materials}\n{compiler}")
    return program


def build_target(name: str, **definitions: Path) -> None:
    """Build another target of cpp/CMakeLists.txt beside the program, unless it is up to date.

    definitions: the CMake variables that it needs. The program must have been built before. Raises
    BackendUnavailable if the build fails.
    """
    if not _builds_in_place():
        from .cache import cache_target

        cache_target(SOURCE, name, definitions)
        return
    cmake = build_tool("cmake")
    configure = [cmake, *(f"-D{key}={value}" for key, value in definitions.items()), str(BUILD)]
    with one_at_a_time(BUILD):
        _run([configure, [cmake, "--build", str(BUILD), "--target", name]], BUILD / f"{name}.log")


def _builds_in_place() -> bool:
    """Whether cpp/build is the place: in a checkout that can be written."""
    return is_checkout() and os.access(SOURCE, os.W_OK)


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
    """The C++ compiler: CXX from the environment, else the first of c++, g++ and clang++."""
    for name in [os.environ.get("CXX", ""), "c++", "g++", "clang++"]:
        if name and (found := shutil.which(name)):
            return found
    raise BackendUnavailable("there is no C++ compiler: install one, for example apt install g++")


def build_tool(name: str) -> str:
    """A tool that pip installs: next to this interpreter, where pip puts it, or on the PATH."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise BackendUnavailable(f"{name} is not installed: {install_line('cpp')}")
    return found


def definitions_of(torch_folder: Path, sanitize: bool = False) -> dict[str, str]:
    """The CMake variables of the program."""
    return {"TORCH_DIR": str(torch_folder), "SANITIZE": "ON" if sanitize else "OFF"}


def announce(program: Path, compiler: str) -> None:
    """Tell why nothing else happens for a minute."""
    print(f"building {program} with {compiler} (about a minute)", file=sys.stderr, flush=True)


def fingerprint(source: Path, definitions: Mapping[str, str]) -> str:
    """A hash of the sources, the definitions and the torch that the program is built from."""
    digest = hashlib.sha256(repr(sorted(definitions.items())).encode())
    digest.update((Path(definitions["TORCH_DIR"]) / "version.py").read_bytes())
    files = [path for path in source.iterdir() if path.suffix in (".cpp", ".h", ".txt")]
    for path in sorted(files):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


@contextmanager
def one_at_a_time(build: Path) -> Iterator[None]:
    """A context in which no other process builds in the same folder."""
    with ExitStack() as stack:
        try:
            build.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((build / "lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            raise BackendUnavailable(
                f"{build} cannot be written ({error.strerror}); make it writable"
                + ("" if is_checkout() else f", or set {CACHE_VARIABLE} to another folder")
            ) from error
        yield


def build_in(
    source: Path,
    build: Path,
    definitions: Mapping[str, str],
    compiler: str,
    target: str = "all",
) -> None:
    """Configure and build `target` of the sources in the folder `build`."""
    cmake, ninja = build_tool("cmake"), build_tool("ninja")
    log = build / "build.log"
    configure = [cmake, "-G", "Ninja", "-S", str(source), "-B", str(build)]
    configure += [f"-DCMAKE_MAKE_PROGRAM={ninja}", f"-DCMAKE_CXX_COMPILER={compiler}"]
    configure += [f"-D{name}={value}" for name, value in definitions.items()]
    # With a cache of another compiler or checkout, cmake would fail.
    (build / "CMakeCache.txt").unlink(missing_ok=True)
    _run([configure, [cmake, "--build", str(build), "--target", target]], log)


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
    except BackendUnavailable as error:
        print(f"the cpp backend will be skipped: {error}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
