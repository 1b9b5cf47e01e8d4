from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable

import pytest

from tests.unit.plugin import MODEL, ROOT, clean_environment
from tests.unit.python_process import run_python

# By its name: imported here, it would put the faults into the registry of every other test.
PLANT = "tests.unit.plugin.plant"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def with_faults(modules) -> Run:
    """A function that runs pytest with the faulty backends, and `modules`, within reach."""
    environment = {**clean_environment(), "PYTHONPATH": f"{modules}{os.pathsep}{ROOT}"}

    def run(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        command = ["-m", "pytest", "-p", PLANT, "-p", "no:cacheprovider"]
        return run_python([*command, *arguments], ROOT, {**environment, **extra})

    return run


@pytest.fixture
def run_pytest(tmp_path) -> Run:
    return with_faults(tmp_path)


@pytest.fixture(scope="package")
def saved(tmp_path_factory):
    """A run through every backend and every fault: what it printed, and what it saved."""
    folder = tmp_path_factory.mktemp("saved")
    ran = with_faults(folder)(
        "tests/perf",
        f"--models={MODEL}",
        "--backends=eager,wrong,tiring,scripted,broken,absent,cpp",
        "--benchmark-max-time=0.01",
        "--benchmark-save=run1",
        f"--benchmark-storage={folder / 'storage'}",
    )
    (path,) = (folder / "storage").rglob("*run1.json")
    return ran, json.loads(path.read_text())
