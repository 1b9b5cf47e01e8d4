"""Backends that other packages bring by an entry point."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploybench import backends
from deploybench.backends._installed import installed
from tests.unit.plugin import MODEL, ROOT

PAGE = ROOT / "docs" / "write-a-backend.md"
HALVED = """
from deploybench.backends.base import Backend

class Halved(Backend):
    name, title, order = "halved", "Halved", 15

    def load(self, module, artifact): ...
"""


def distribution(folder: Path, package: str, code: str, points: str) -> None:
    """What pip leaves of an installed package with one module."""
    (folder / f"{package}.py").write_text(code)
    about = folder / f"{package}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[deploybench.backends]\n{points}\n")


def python(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


NAMES = "from deploybench import backends; print(*backends.registry())"


@pytest.mark.parametrize("value", ["halves", "halves:Halved"])
def test_an_entry_point_brings_a_backend_into_its_column_without_torch(tmp_path, value):
    distribution(tmp_path, "halves", HALVED, f"halved = {value}")
    ran = python(tmp_path, f"{NAMES}; import sys; print('torch' in sys.modules)")
    names, has_torch = ran.stdout.splitlines()
    assert "halved" in names.split()[1:3]
    assert has_torch == "False"
    assert ran.stderr == ""


@pytest.mark.parametrize(
    ("code", "value", "reason"),
    [
        ("import gizmo", "other", "ModuleNotFoundError: No module named 'gizmo'"),
        ("raise SystemError('one\\ntwo')", "other", "SystemError: one"),
        ("", "other", "ValueError: other defines no complete Backend"),
        ("", "other:Missing", "AttributeError: module 'other' has no attribute 'Missing'"),
        ("Another = 3", "other:Another", "other:Another is not a Backend class"),
        (HALVED.replace("def load", "def lode"), "other", "other defines no complete Backend"),
        (HALVED.replace("def load", "def lode"), "other:Halved", "Halved does not define load"),
        (HALVED.replace(", order", "").replace(", 15", ""), "other", "Halved has no order"),
        (HALVED.replace('"halved"', '"all"'), "other", "'all' is not a name for a backend"),
        (HALVED.replace('"halved"', '"a,b"'), "other", "'a,b' is not a name for a backend"),
        (HALVED.replace('"halved"', '"eager"'), "other", "another backend named eager"),
        (HALVED.replace('"Halved"', '"PyTorch"'), "other", "or titled PyTorch"),
    ],
)
def test_one_that_cannot_be_used_is_left_out_with_the_reason_in_one_line(
    tmp_path, monkeypatch, code, value, reason
):
    distribution(tmp_path, "other", code, f"broken = {value}")
    distribution(tmp_path, "halves", HALVED.replace("alved", "alves"), "halves = halves")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        found, problems = installed(backends.registry().values())
    finally:
        for module in ("other", "halves"):
            sys.modules.pop(module, None)
    assert [each.name for each in found] == ["halves"]
    line = problems["broken"]
    assert line.startswith("the backend broken of the package other cannot be used: ")
    assert reason in line
    assert "\n" not in line
    assert line.endswith("pip uninstall other")


def test_a_broken_one_is_named_on_standard_error_once(tmp_path):
    distribution(tmp_path, "other", "import gizmo", "broken = other")
    ran = python(tmp_path, f"{NAMES}; backends.registry(); backends.select('all')")
    assert "eager" in ran.stdout.split()
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stderr.startswith("deploybench: the backend broken of the package other")


def test_of_two_packages_with_one_name_the_second_is_refused(tmp_path):
    distribution(tmp_path, "halves", HALVED, "halved = halves")
    distribution(tmp_path, "moieties", HALVED, "moiety = moieties")
    ran = python(tmp_path, NAMES)
    assert ran.stdout.split().count("halved") == 1
    (line,) = ran.stderr.splitlines()
    assert "the backend moiety of the package moieties" in line
    assert "there is another backend named halved" in line


def test_who_asks_for_a_broken_one_is_told_why(tmp_path):
    distribution(tmp_path, "other", "import gizmo", "broken = other")
    code = "from deploybench import backends, errors\ntry: backends.select('broken')\n"
    ran = python(tmp_path, f"{code}except errors.UsageError as error: print(error)")
    assert "cannot be used: ModuleNotFoundError: No module named 'gizmo'" in ran.stdout


def files_of_the_page() -> dict[str, str]:
    """Each block of the page whose line before names a file, by that name."""
    blocks = re.findall(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    return dict(blocks)


def test_every_block_of_the_page_is_tested():
    marked = re.findall(r"^```(\w+)$", PAGE.read_text(), re.M)
    of_the_checkout = 1  # the class of frozen_cpp.py
    assert len(files_of_the_page()) == len(marked) - marked.count("text") - of_the_checkout


def test_the_class_that_the_page_shows_is_the_file():
    shown = re.search(r"^```python\n(class FrozenCpp.*?)^```", PAGE.read_text(), re.M | re.S)
    assert shown
    assert shown[1] in (ROOT / "deploybench" / "backends" / "frozen_cpp.py").read_text()


@pytest.mark.slow
def test_the_package_of_the_page_is_installed_and_measured(tmp_path):
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    for name, text in files_of_the_page().items():
        (source / name).write_text(text)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation"),
            *("--no-deps", "--no-index", "--target", site, source),
        ],
        check=True,
        capture_output=True,
    )
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "tests/perf", "-p", "no:cacheprovider"),
            *(f"--models={MODEL}", "--backends=eager,fused", "--benchmark-max-time=0.01"),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "2 passed" in ran.stdout, ran.stdout + ran.stderr
