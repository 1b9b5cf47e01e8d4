#!/usr/bin/env python3
"""Records a history with a slowdown that is really there, and asks `deploybench history` for it.

It makes a repository with a backend of its own, and measures one process for each of its commits.
From the commit in the middle on, the backend computes one of the model's blocks twice: about 5 %
more work, which nothing but its timing shows. No figure is edited. The series is also searched with
eager, whose code never changes, and with the first half alone, where there is nothing to find.

    .venv/bin/python validation/planted_slowdown.py FOLDER
    .venv/bin/python validation/planted_slowdown.py FOLDER --runs 100 --blocks 10

An interrupted recording goes on where it was. `--only-look` searches what is recorded.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.analysis import change_points, trends
from deploybench.records import history

ROOT = Path(__file__).resolve().parents[1]
MODEL = """\
from deploybench import Model
from torch import nn


class Block(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU())


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 8, stride=8)
        self.blocks = nn.Sequential(*(Block() for _ in range({blocks})))
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean(dim=(2, 3)))


# Through so many blocks, PyTorch's own random weights give all images the same answer.
MODEL = Model("Net", build=Net, inputs=(3, 224, 224), weights="random")
"""
BACKEND = """\
from deploybench.backends.base import Backend
from deploybench.backends.session import InProcessSession

TWICE = {twice}


class Planted(Backend):
    name = "planted"
    title = "Planted"
    order = 5

    def load(self, module, artifact):
        from torch import nn

        class Deployed(nn.Module):
            def __init__(self):
                super().__init__()
                self.net = module

            def forward(self, x):
                x = self.net.stem(x)
                for number in range(TWICE):
                    self.net.blocks[number](x)
                return self.net.head(self.net.blocks(x).mean(dim=(2, 3)))

        return InProcessSession(Deployed().eval(), self.settings)
"""
METADATA = "Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n"
ENTRY_POINTS = "[deploybench.backends]\nplanted = planted_backend\n"
PERSON = ("-c", "user.name=validation", "-c", "user.email=validation@localhost")


def git(folder: Path, *words: str) -> str:
    """What git prints."""
    command = ["git", *PERSON, *words]
    return subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(folder: Path, number: int, blocks: int, twice: int) -> None:
    """The commit of one run."""
    site = folder / "site"
    (site / "planted-1.0.dist-info").mkdir(parents=True, exist_ok=True)
    files = {
        folder / ".gitignore": ".benchmarks\n__pycache__\n",
        folder / "net.py": MODEL.format(blocks=blocks),
        folder / "version.txt": f"{number}\n",
        site / "planted_backend.py": BACKEND.format(twice=twice),
        site / "planted-1.0.dist-info" / "METADATA": METADATA,
        site / "planted-1.0.dist-info" / "entry_points.txt": ENTRY_POINTS,
    }
    for path, content in files.items():
        path.write_text(content)
    if not (folder / ".git").is_dir():
        git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", f"number {number}")


def measure(folder: Path, seconds: float) -> None:
    """One process: eager and the backend, interleaved."""
    path = os.pathsep.join([str(ROOT), str(folder / "site")])
    words = ["--models=net.py:MODEL", "--backends=eager,planted"]
    words += ["--device=cpu", "--threads=1", f"--benchmark-max-time={seconds}", "-q"]
    run = subprocess.run(
        [sys.executable, "-m", "deploybench", "bench", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise SystemExit(f"{run.stdout}\n{run.stderr}")


def record(folder: Path, runs: int, blocks: int, seconds: float) -> None:
    """Measure the commits that are not yet measured."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(len(list(folder.glob(".benchmarks/*/*.json"))) + 1, runs + 1):
        started = time.monotonic()
        commit(folder, number, blocks, twice=int(number > runs // 2))
        measure(folder, seconds)
        print(f"run {number} of {runs}: {time.monotonic() - started:.0f} s", flush=True)


def look(folder: Path) -> None:
    """Print what is found, and whether it is what was planted."""
    found = trends.trends(history.load(folder / ".benchmarks", trends.ratio).cells)
    backend = next(trend for trend in found if trend.cell.backend == "planted")
    ratios = [point.ratio or 1.0 for point in backend.points]
    slow = git(folder, "log", "--format=%H", "--max-count=1", "--", "site/planted_backend.py")
    middle = [point.run.commit for point in backend.points].index(slow)
    print(f"planted in run {middle + 1}, commit {slow[:12]}, as one block of the model twice")
    for trend in found:
        for step in trend.steps:
            run = trend.points[step.index].run
            print(
                f"found in {trend.title}, {step.measure}: {step.effect} since run "
                f"{step.index + 1}, commit {(run.commit or '')[:12]} "
                f"(between {step.earliest + 1} and {step.latest + 1}), p = {step.p_value:.2g}"
            )
    named = [backend.points[step.index].run.commit == slow for step in backend.named]
    print(f"the planted change is named at its commit, and no other: {named == [True]}")
    import numpy as np

    for name, part in (("before", ratios[:middle]), ("after", ratios[middle:])):
        logs = np.log(part)
        alarms = [change.index + 1 for change in change_points.find(logs.tolist(), 0.05)]
        print(
            f"{name} it: ratio {np.exp(np.median(logs)):.4f}, standard deviation between "
            f"processes {logs.std(ddof=1):.2%}, changes found: {alarms or 'none'}"
        )
    print(json.dumps([round(ratio, 5) for ratio in ratios]))


def main() -> None:
    """Record and look."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of the repository; it is made if it is missing")
    parser.add_argument("--runs", type=int, default=60, help="how many commits (default: 60)")
    parser.add_argument(
        "--blocks", type=int, default=20, help="of the model; one is computed twice (default: 20)"
    )
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="of timing per backend and run (default: 1)"
    )
    parser.add_argument("--only-look", action="store_true", help="do not measure")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if not arguments.only_look:
        record(folder, arguments.runs, arguments.blocks, arguments.seconds)
    look(folder)


if __name__ == "__main__":
    main()
