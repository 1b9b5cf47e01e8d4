"""When the C++ program is built, and what is said where it cannot be."""

from __future__ import annotations

import multiprocessing
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploybench.errors import BackendUnavailable
from deploybench.native import build as native_build


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

    monkeypatch.setattr(native_build, "find_torch", lambda: torch_folder)
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
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(
        BackendUnavailable, match=r"there is no C\+\+ compiler: .* apt install g\+\+"
    ):
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
