"""When the C++ program is built, and what is said where it cannot be."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploybench import settings
from deploybench.errors import BackendFailed, BackendUnavailable, FileError
from deploybench.formats.aotinductor import AotInductorPackage
from deploybench.native import build as native_build
from deploybench.native import build_inputs, process, tools


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Sources and a torch of a test's own, and a build that only counts."""
    source, torch_folder = tmp_path / "cpp", tmp_path / "torch"
    source.mkdir()
    torch_folder.mkdir()
    (source / "main.cpp").write_text("int main() {}")
    (torch_folder / "version.py").write_text("__version__ = '2.14.1'")
    builds = []

    def build(source: Path, build: Path, definitions: dict[str, str], compiler: str) -> None:
        builds.append(compiler)
        (build / native_build.NAME).write_text("program")

    monkeypatch.setattr(build_inputs, "find_torch", lambda: torch_folder)
    monkeypatch.setattr(native_build, "build_in", build)
    return source, torch_folder, builds


def test_the_second_time_nothing_is_done(site, capfd):
    source, _, builds = site
    for _ in range(2):
        program = native_build.ensure_runner(source, source / "build")
    assert program == source / "build" / "model_runner"
    assert len(builds) == 1
    assert capfd.readouterr().err.count("building") == 1


def test_another_torch_another_source_or_another_compiler_builds_again(site, monkeypatch):
    source, torch_folder, builds = site
    native_build.ensure_runner(source, source / "build")
    (torch_folder / "version.py").write_text("__version__ = '2.15.0'")
    native_build.ensure_runner(source, source / "build")
    assert len(builds) == 2
    (source / "main.cpp").write_text("int main() { return 1; }")
    native_build.ensure_runner(source, source / "build")
    assert len(builds) == 3
    monkeypatch.setenv("CXX", sys.executable)
    native_build.ensure_runner(source, source / "build")
    assert builds[3:] == [sys.executable]


def test_a_program_built_without_sanitizers_is_not_taken_for_one_with_them(site):
    source, _, builds = site
    for sanitize in (False, True, True):
        native_build.ensure_runner(source, source / "build", sanitize)
    assert len(builds) == 2


def test_a_built_program_needs_no_compiler(site, monkeypatch):
    source, _, builds = site
    native_build.ensure_runner(source, source / "build")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    native_build.ensure_runner(source, source / "build")
    assert len(builds) == 1
    (source / "main.cpp").write_text("int main() { return 1; }")
    with pytest.raises(BackendUnavailable, match="no C"):
        native_build.ensure_runner(source, source / "build")


def test_a_program_that_was_removed_is_built_again(site):
    source, _, builds = site
    native_build.ensure_runner(source, source / "build").unlink()
    native_build.ensure_runner(source, source / "build")
    assert len(builds) == 2


def test_a_build_that_was_broken_off_is_not_taken_for_done(site, monkeypatch):
    source, _, builds = site
    native_build.ensure_runner(source, source / "build")
    (source / "main.cpp").write_text("int main() { return 2; }")

    def broken_off(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(native_build, "build_in", broken_off)
        with pytest.raises(KeyboardInterrupt):
            native_build.ensure_runner(source, source / "build")
    native_build.ensure_runner(source, source / "build")
    assert len(builds) == 2


def test_a_build_that_fails_keeps_the_program_from_before(site, monkeypatch):
    source, _, builds = site
    program = native_build.ensure_runner(source, source / "build")
    before = {path.name: path.read_text() for path in program.parent.iterdir()}

    def fail(source, build, definitions, compiler):
        (build / native_build.NAME).unlink()
        raise BackendUnavailable("the linker removed it")

    with monkeypatch.context() as patch:
        patch.setattr(native_build, "build_in", fail)
        patch.setenv("CXX", sys.executable)
        with pytest.raises(BackendUnavailable, match="the linker removed it"):
            native_build.ensure_runner(source, source / "build")
    assert {path.name: path.read_text() for path in program.parent.iterdir()} == before
    assert native_build.ensure_runner(source, source / "build") == program
    assert len(builds) == 1


def test_without_file_locks_the_program_is_built_and_the_lack_is_said(site, monkeypatch, capfd):
    source, _, builds = site

    def no_locks(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    for _ in range(2):
        assert native_build.ensure_runner(source, source / "build").exists()
    assert len(builds) == 1
    assert capfd.readouterr().err.count("has no file locks (No locks available)") == 1


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), FileError("full")])
def test_what_the_system_refuses_is_one_line_of_the_command(monkeypatch, capfd, error):
    def refuse():
        raise error

    monkeypatch.setattr(native_build, "ensure_runner", refuse)
    assert native_build.main() == 0
    said = capfd.readouterr().err
    assert said.startswith("the cpp backend will be skipped: ")
    assert len(said.splitlines()) == 1


def write_target(source: Path) -> None:
    """Sources with a target of the name `further`."""
    source.mkdir()
    (source / "x.cpp").write_text("int x() { return 1; }")
    (source / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.18)\nproject(p LANGUAGES CXX)\n"
        "add_library(further MODULE EXCLUDE_FROM_ALL x.cpp)\n"
    )


def test_a_checkout_that_was_moved_builds_further_targets(tmp_path, monkeypatch):
    before, after = tmp_path / "alt mit ü", tmp_path / "neu mit ü"
    write_target(before)
    for source in (before, after):
        if source == after:
            before.rename(after)
            (after / "build" / "libfurther.so").unlink()
        monkeypatch.setattr(native_build, "SOURCE", source)
        monkeypatch.setattr(native_build, "BUILD", source / "build")
        native_build.build_target("further", NEEDED=tmp_path)
        assert (source / "build" / "libfurther.so").exists()


def test_a_read_only_checkout_uses_the_targets_that_are_built_and_current(tmp_path, monkeypatch):
    source = tmp_path / "cpp"
    write_target(source)
    monkeypatch.setattr(native_build, "SOURCE", source)
    monkeypatch.setattr(native_build, "BUILD", source / "build")
    native_build.build_target("further", NEEDED=tmp_path)
    monkeypatch.setattr(native_build, "builds_in_place", lambda: False)
    monkeypatch.setattr(native_build, "ensure_runner", lambda: native_build.BUILD / "model_runner")
    native_build.build_target("further", NEEDED=tmp_path)
    (source / "x.cpp").write_text("int x() { return 2; }")
    with pytest.raises(
        BackendUnavailable, match=r"libfurther.so is missing in .*, or not of these"
    ):
        native_build.build_target("further", NEEDED=tmp_path)


def test_a_moved_environment_still_has_its_build_tools(tmp_path, monkeypatch):
    for name in ("cmake", "ninja"):
        (tmp_path / name).write_text("#!/moved/away/python\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert subprocess.run([native_build.build_tool("cmake"), "--version"], check=True)


def test_a_folder_that_starts_no_programs_is_named_as_such(tmp_path, monkeypatch):
    program = tmp_path / "model_runner"
    program.write_text("#!/bin/sh\n")
    assert not tools.is_noexec(tmp_path)
    flags = SimpleNamespace(f_flag=os.ST_NOEXEC | os.ST_NOSUID)
    monkeypatch.setattr(os, "statvfs", lambda _: flags)
    assert tools.is_noexec(tmp_path)
    with pytest.raises(BackendUnavailable, match=r"temporary folder .* noexec: set TMPDIR"):
        AotInductorPackage().require()
    monkeypatch.setattr(process, "_memory_folder", lambda: None)
    with pytest.raises(BackendFailed, match="mounted noexec; set DEPLOYBENCH_CACHE"):
        process.Runner(program, settings.resolve("cpu", threads=1))


def test_the_library_path_that_a_compiler_needs_is_built_into_the_program(tmp_path, monkeypatch):
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{tmp_path}:/not/there:")
    source = Path(native_build.__file__).parents[2] / "cpp"
    command = native_build._configuration("cmake", source, tmp_path, {}, "c++")
    assert command[-1] == f"-DLIBRARY_PATH={tmp_path}"
    rpath = (source / "CMakeLists.txt").read_text().partition("BUILD_RPATH")[2].splitlines()[0]
    assert rpath.index("TORCH_DIR") < rpath.index("${LIBRARY_PATH}")


def _hold_lock(folder: Path, seconds: float) -> None:
    with native_build.one_at_a_time(folder):
        (folder / "held").touch()
        time.sleep(seconds)
        (folder / "held").unlink()


def test_two_processes_do_not_build_at_once(tmp_path):
    other = multiprocessing.get_context("spawn").Process(target=_hold_lock, args=(tmp_path, 1.0))
    other.start()
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    with native_build.one_at_a_time(tmp_path):
        assert not (tmp_path / "held").exists()
    other.join()


def test_a_missing_compiler_is_reported_with_how_to_install_one(monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(
        BackendUnavailable, match=r"there is no C\+\+ compiler: .* apt install g\+\+"
    ):
        native_build.find_compiler()


@pytest.mark.parametrize("given", ["no-such-compiler", "{folder}/text", "{folder}", "g++ -O2"])
def test_a_compiler_of_ones_own_that_is_no_program_is_not_replaced_by_another(
    monkeypatch, tmp_path, given
):
    (tmp_path / "text").write_text("no program")
    chosen = given.format(folder=tmp_path)
    monkeypatch.setenv("CXX", chosen)
    with pytest.raises(BackendUnavailable, match=f"CXX='{re.escape(chosen)}' is not a program"):
        native_build.find_compiler()


def test_a_missing_cmake_is_reported_with_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(BackendUnavailable, match=r"cmake is not installed: pip install -r req"):
        native_build.build_tool("cmake")


def test_a_build_that_fails_names_its_first_error_and_its_log(tmp_path):
    (tmp_path / "CMakeLists.txt").write_text("message(FATAL_ERROR cheese)")
    with pytest.raises(BackendUnavailable, match=r"cannot be built: CMake Error .*build\.log"):
        native_build.ensure_runner(tmp_path, tmp_path / "build")


def test_the_command_succeeds_without_a_compiler(tmp_path):
    # A copy, since here the program may have been built already, and would need no compiler.
    checkout = Path(native_build.__file__).parents[2]
    for folder in ("deploybench", "cpp"):
        shutil.copytree(
            checkout / folder, tmp_path / folder, ignore=shutil.ignore_patterns("build", "data")
        )
    ran = subprocess.run(
        [sys.executable, "-m", "deploybench.native.build"],
        env={"PATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0
    assert ran.stderr.startswith("the cpp backend will be skipped: there is no C++ compiler")
    assert len(ran.stderr.splitlines()) == 1
