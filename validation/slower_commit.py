#!/usr/bin/env python3
"""Asks `deploybench compare-commits` about a commit that is slower, and about one that is not.

It makes a repository with a model of its own and three commits. The second changes only a comment,
so it must not be called slower or faster in any cell. In the third, the model does its convolution
8 times, so it must be called slower in every cell. No figure is edited.

    .venv/bin/python validation/slower_commit.py
    .venv/bin/python validation/slower_commit.py --time-limit 30m --options=--backends=eager,cpp

The exit code is 0 if both answers are right.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench import processes
from validation.planted_slowdown import git

TIMES = 8
MODEL = """\
# {comment}
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 16, 3)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        for _ in range({times} - 1):
            x = x + self.convolution(x).mean((1, 2, 3), keepdim=True)
        return self.head(self.convolution(x).mean((2, 3)))
"""
COMMITS = {
    "first": MODEL.format(comment="A small model.", times=1),
    "comment": MODEL.format(comment="The same model.", times=1),
    "slower": MODEL.format(comment="The same model.", times=TIMES),
}
"""By its tag, the model of each commit."""


def make_repository(folder: Path) -> None:
    """Commit the models one after the other."""
    git(folder, "init", "--quiet", "--initial-branch=main")
    for tag, model in COMMITS.items():
        (folder / "net.py").write_text(model)
        git(folder, "add", "net.py")
        git(folder, "commit", "--quiet", "--message", tag)
        git(folder, "tag", tag)


def verdicts(folder: Path, base: str, head: str, words: list[str]) -> dict[str, Any]:
    """What compare-commits says: by column, the cell of the report."""
    command = [sys.executable, "-m", "deploybench", "compare-commits", base, head, *words]
    command += ["--models=net.py:Net", "--input=3x64x64", "--format=json"]
    environment = processes.importing(os.environ)
    run = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, check=False)
    if not run.stdout:
        raise SystemExit(f"compare-commits {base} {head}: exit code {run.returncode}, no report")
    return {cell["column"]: cell for cell in json.loads(run.stdout)["cells"]}


def main() -> int:
    """Compare both pairs, and print what was said of each and whether it is right."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--time-limit", default="10m", help="of each pair (default: 10m)")
    parser.add_argument(
        "--options",
        default="--backends=eager,scripted --device=cpu --benchmark-max-time=0.1",
        help="of bench (default: %(default)s)",
    )
    arguments = parser.parse_args()
    words = [f"--time-limit={arguments.time_limit}", *shlex.split(arguments.options)]
    right = []
    with tempfile.TemporaryDirectory() as folder:
        make_repository(Path(folder))
        for base, head in (("first", "comment"), ("comment", "slower")):
            started = time.monotonic()
            cells = verdicts(Path(folder), base, head, words)
            for column, cell in cells.items():
                change = "" if cell["change"] is None else f", {cell['change']:+.1%}"
                print(f"{head} against {base}, {column}: {cell['verdict']}{change}")
            said = {cell["verdict"] for cell in cells.values()}
            is_right = said == {"slower"} if head == "slower" else not said & {"slower", "faster"}
            right.append(bool(cells) and is_right)
            took = time.monotonic() - started
            print(f"{head}: {'as it must be' if right[-1] else 'WRONG'}, in {took:.0f} s")
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
