"""The package as pip installs it, for tests that run it away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest


class Installed:
    """An environment of its own with the wheel, and this interpreter's other packages behind it."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
        self.python = folder / "venv" / "bin" / "python"
        (self.site,) = (folder / "venv" / "lib").glob("python*/site-packages")
        behind = Path(pytest.__file__).parents[1]
        (self.site / "behind.pth").write_text(f"{behind}\n")
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"),
                *("--target", self.site, wheel),
            ],
            check=True,
        )
        self.work = folder / "work"
        self.work.mkdir()

    def environment(self, **extra: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        # cmake and ninja as pip installs them are beside the interpreter of this environment.
        kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        return kept | {"DEPLOYBENCH_CACHE": str(self.folder / "cache")} | extra

    def start(self, code: str, **extra: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.python, "-c", textwrap.dedent(code)],
            cwd=self.work,
            env=self.environment(**extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str, **extra: str) -> subprocess.CompletedProcess[str]:
        started = self.start(code, **extra)
        output, errors = started.communicate(timeout=600)
        return subprocess.CompletedProcess([], started.returncode, output, errors)

    def command(self, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
        """`deploybench` with those words, as a user calls it in the folder."""
        return subprocess.run(
            [self.python, "-m", "deploybench", *words],
            cwd=folder,
            env=self.environment(PYTEST_ADDOPTS=""),
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
