"""What holds for all unit tests; the wheel of this checkout, and an environment with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from .installed import Installed

ROOT = Path(__file__).resolve().parents[2]

# A machine that is busy for a moment must not fail a test.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


# With -n, a test that starts pytest would hand it the mark of a worker, and a worker times nothing.
for name in [name for name in os.environ if name.startswith("PYTEST_XDIST_")]:
    del os.environ[name]
# What is printed depends on them.
for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
    os.environ.pop(name, None)
# OpenMP's threads wait for each other by spinning. Where two workers share the cores, they so keep
# each other from what they wait for: two runs beside each other took 68 s, and 20 s with this.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps"]
    built = subprocess.run(
        [*build, "--no-index", "--wheel-dir", folder, ROOT],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(tmp_path_factory, wheel) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed"), wheel)


@pytest.fixture
def read_only(installed):
    """The installed package, which nobody may write (a superuser could, and is then watched)."""
    package = installed.site / "deploybench"
    files = [package, *package.rglob("*")]
    before = {path: path.stat().st_mtime_ns for path in files if "__pycache__" not in path.parts}
    for path in files:
        path.chmod(path.stat().st_mode & ~0o222)
    yield package
    after = [path for path in package.rglob("*") if "__pycache__" not in path.parts]
    assert {path: path.stat().st_mtime_ns for path in [package, *after]} == before
    for path in files:
        path.chmod(path.stat().st_mode | 0o200)
