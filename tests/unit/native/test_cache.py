"""Where the C++ program of an installed package is built, and that it is built once."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from pathlib import Path

import pytest

from deploybench import installation
from deploybench.errors import BackendUnavailable
from deploybench.native import build as native_build
from deploybench.native import build_inputs, cache
from deploybench.native.build_inputs import Library


def stub_build(source, build, definitions, compiler, target="all"):
    """What takes the place of a compiler: notes that it ran, in a file beside the sources."""
    with (source.parent / "builds").open("a") as notes:
        notes.write(f"{target}\n")
    time.sleep(0.2)
    name = native_build.NAME if target == "all" else f"lib{target}.so"
    (build / name).write_text(target)


def as_installed(folder: Path) -> Path:
    """Make this process one of an installed package with a torch of its own; its C++ sources."""
    source, torch_folder = folder / "cpp", folder / "torch"
    source.mkdir(exist_ok=True)
    torch_folder.mkdir(exist_ok=True)
    (source / "main.cpp").write_text("int main() {}")
    (torch_folder / "version.py").write_text("__version__ = '2.14.1'")
    os.environ[installation.CACHE_VARIABLE] = str(folder / "cache")
    build_inputs.find_torch = lambda: torch_folder
    native_build.build_in = stub_build
    native_build.is_checkout = lambda: False
    return source


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setenv(installation.CACHE_VARIABLE, "")
    monkeypatch.setattr(build_inputs, "find_torch", None)
    for name in ("build_in", "is_checkout"):
        monkeypatch.setattr(native_build, name, None)
    cache._of_compiler.cache_clear()
    return as_installed(tmp_path)


def builds(source: Path) -> list[str]:
    return (source.parent / "builds").read_text().split()


def test_a_program_is_built_once_in_the_cache_and_nothing_else_is_left_there(source):
    first = native_build.ensure_runner(source)
    assert native_build.ensure_runner(source) == first
    assert first.parent.parent == source.parent / "cache"
    assert first.parent.name.startswith("torch2.14.1-")
    assert {path.name for path in first.parent.iterdir()} == {"lock", native_build.NAME}
    assert builds(source) == ["all"]


def test_another_torch_another_source_and_another_compiler_have_programs_of_their_own(
    source, monkeypatch
):
    programs = [native_build.ensure_runner(source)]
    (source.parent / "torch" / "version.py").write_text("__version__ = '2.15.0'")
    programs.append(native_build.ensure_runner(source))
    (source / "main.cpp").write_text("int main() { return 1; }")
    programs.append(native_build.ensure_runner(source))
    compiler = source.parent / "another"
    compiler.write_text("#!/bin/sh\necho another 1.0\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    programs.append(native_build.ensure_runner(source))
    assert len(set(programs)) == 4
    assert all(program.exists() for program in programs)


def test_a_built_program_needs_no_compiler(source, monkeypatch):
    program = native_build.ensure_runner(source)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert native_build.ensure_runner(source) == program
    (source / "main.cpp").write_text("int main() { return 1; }")
    with pytest.raises(BackendUnavailable, match="no C"):
        native_build.ensure_runner(source)


def test_a_build_that_was_broken_off_leaves_no_program_and_does_not_stop_the_next(
    source, monkeypatch
):
    def broken_off(source, build, *_):
        (build / native_build.NAME).write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(native_build, "build_in", broken_off)
        with pytest.raises(KeyboardInterrupt):
            native_build.ensure_runner(source)
    assert not list((source.parent / "cache").glob(f"*/{native_build.NAME}"))
    assert native_build.ensure_runner(source).read_text() == "all"


def _build(folder: Path) -> None:
    native_build.ensure_runner(as_installed(folder))


def test_two_processes_at_once_build_one_program(tmp_path):
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_build, args=(tmp_path,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert builds(tmp_path / "cpp") == ["all"]


def test_another_library_is_put_beside_the_program_and_built_again_for_another_runtime(source):
    runtime = source.parent / "openvino"
    runtime.mkdir()
    os.utime(runtime, (1, 1))
    for _ in range(2):
        cache.cache_library(Library.of(source, "openvino_program", {"OPENVINO_DIR": runtime}))
    beside = native_build.ensure_runner(source).with_name("libopenvino_program.so")
    assert beside.read_text() == "openvino_program"
    assert builds(source) == ["all", "openvino_program"]
    os.utime(runtime, (2, 2))
    cache.cache_library(Library.of(source, "openvino_program", {"OPENVINO_DIR": runtime}))
    assert len(builds(source)) == 3


def test_what_is_current_is_used_where_nothing_can_be_written_or_locked(source, monkeypatch):
    runtime = source.parent / "openvino"
    runtime.mkdir()
    cache.cache_library(Library.of(source, "openvino_program", {"OPENVINO_DIR": runtime}))

    def refuse(folder):
        raise PermissionError(f"{folder} cannot be written")

    monkeypatch.setattr(native_build, "one_at_a_time", refuse)
    cache.cache_library(Library.of(source, "openvino_program", {"OPENVINO_DIR": runtime}))
    native_build.ensure_runner(source).with_name("libopenvino_program.so").unlink()
    with pytest.raises(PermissionError):
        cache.cache_library(Library.of(source, "openvino_program", {"OPENVINO_DIR": runtime}))


def test_a_cache_that_cannot_be_written_is_named_with_the_variable_that_moves_it(source):
    (source.parent / "cache").write_text("a file where the folder should be")
    with pytest.raises(BackendUnavailable, match=r"cache/.* cannot be written .*DEPLOYBENCH_CACHE"):
        native_build.ensure_runner(source)


def test_a_checkout_that_cannot_be_written_uses_its_current_program_or_else_the_cache(
    source, monkeypatch
):
    monkeypatch.setattr(native_build, "is_checkout", lambda: True)
    monkeypatch.setattr(native_build, "SOURCE", source)
    monkeypatch.setattr(native_build, "BUILD", source / "build")
    program = native_build.ensure_runner(source)
    assert program.parent == source / "build"
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    assert native_build.ensure_runner(source) == program
    assert builds(source) == ["all"]
    (source / "main.cpp").write_text("int main() { return 2; }")
    assert native_build.ensure_runner(source).is_relative_to(source.parent / "cache")


def test_the_cache_is_where_the_variables_tell(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv(installation.CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert installation.cache_folder() == Path("/home/someone/.cache/deploybench")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert installation.cache_folder() == Path("/caches/deploybench")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(installation.CACHE_VARIABLE, "own")
    assert installation.cache_folder() == tmp_path / "own"


def test_what_is_missing_is_installed_by_an_extra_or_by_a_requirements_file(monkeypatch):
    for name in ("cpp", "onnx"):
        assert installation.install_line(name).startswith("pip install -r requirements")
    monkeypatch.setattr(installation, "is_checkout", lambda: False)
    assert installation.install_line("cpp") == "pip install 'deploybench[cpp]'"
    assert installation.install_line() == "pip install deploybench"
