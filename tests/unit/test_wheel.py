"""The wheel: what is in it, and that it works from a read-only folder, away from the checkout."""

from __future__ import annotations

import re
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest

from deploybench import __version__

ROOT = Path(__file__).resolve().parents[2]


def test_it_holds_the_package_its_photo_and_the_cpp_sources_and_nothing_else(wheel):
    listed = subprocess.run(
        ["git", "ls-files", "deploybench", "cpp", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    expected = {
        f"deploybench/{name}" if name.startswith("cpp/") else name
        for name in listed
        if (ROOT / name).is_file()
    }
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
    about = f"deploybench-{__version__}.dist-info/"
    assert {name for name in names if not name.startswith(about)} == expected
    assert "deploybench/data/grace_hopper.jpg" in names
    assert "deploybench/cpp/CMakeLists.txt" in names


def test_it_brings_the_command_and_no_plugin_that_pytest_would_load_by_itself(wheel):
    with zipfile.ZipFile(wheel) as opened:
        about = f"deploybench-{__version__}.dist-info"
        points = opened.read(f"{about}/entry_points.txt").decode()
        metadata = opened.read(f"{about}/METADATA").decode()
    assert points.split() == ["[console_scripts]", "deploybench", "=", "deploybench.cli:main"]
    for extra in ("cpp", "onnx", "openvino", "timm", "dev"):
        assert f"Provides-Extra: {extra}\n" in metadata
    assert "Requires-Dist: torch>=2.11\n" in metadata
    assert "Requires-Python: >=3.11\n" in metadata
    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist: ")]
    assert not [line for line in needed if "==" in line.partition(";")[0]], "ranges, not pins"


def test_the_page_has_every_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "install.md").read_text(), re.M)
    assert rows == list(project["optional-dependencies"])


def test_it_is_imported_from_the_environment_it_was_installed_into(installed):
    ran = installed.run(
        """
        import deploybench
        from deploybench.installation import cpp_sources, install_line, is_checkout
        from deploybench.models import images
        print(deploybench.__version__, deploybench.__file__)
        print(is_checkout(), cpp_sources(), install_line("cpp"))
        """
    )
    version, checkout = ran.stdout.splitlines()
    assert version == f"{__version__} {installed.site}/deploybench/__init__.py"
    assert checkout == f"False {installed.site}/deploybench/cpp pip install 'deploybench[cpp]'"


def test_without_a_compiler_one_line_says_what_to_install(installed, tmp_path):
    code = "import sys; from deploybench.native.build import main; sys.exit(main())"
    ran = installed.run(code, PATH=str(tmp_path), CXX="", DEPLOYBENCH_CACHE=str(tmp_path / "none"))
    assert ran.returncode == 0
    (line,) = ran.stderr.splitlines()
    assert "there is no C++ compiler: install one" in line
    (tmp_path / "c++").write_text("#!/bin/sh\necho a compiler\n")
    (tmp_path / "c++").chmod(0o755)
    without_cmake = installed.run(
        code, PATH=str(tmp_path), CXX="", DEPLOYBENCH_CACHE=str(tmp_path / "none")
    )
    assert without_cmake.stderr.strip().endswith(
        "cmake is not installed: pip install 'deploybench[cpp]'"
    )


@pytest.mark.sweep
def test_two_processes_build_one_program_elsewhere_and_a_case_runs_in_it(installed, read_only):
    (installed.work / "nets.py").write_text((ROOT / "tests" / "unit" / "tiny.py").read_text())
    code = """
        import sys; sys.path.insert(0, "")
        import deploybench, nets
        record = deploybench.run([nets.MODEL], ["eager", "cpp"], max_seconds=0.01)
        print([case.backend for case in record.cases], list(record.failed))
        """
    both = [installed.start(code) for _ in range(2)]
    printed = [process.communicate(timeout=900) for process in both]
    for output, errors in printed:
        assert output == "['eager', 'cpp'] []\n", errors
    built = [errors for _, errors in printed if "building" in errors]
    assert len(built) == 1
    programs = list((installed.folder / "cache").glob("*/*"))
    assert sorted(path.name for path in programs) == [
        "libtorchvision_operators.so",
        "lock",
        "model_runner",
        "torchvision_operators.built-from",
    ]
    again = installed.run(code)
    assert again.stdout == "['eager', 'cpp'] []\n"
    assert "building" not in again.stderr
