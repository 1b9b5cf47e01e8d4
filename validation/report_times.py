#!/usr/bin/env python3
"""Times the report of 80 models through 16 backends, and the history of 10,000 runs.

    .venv/bin/python validation/report_times.py

The runs are made up: 200 calls for each cell of the report, and 20 calls of two backends for each
run of the history. Each command runs in a process of its own. If there is a Chromium, it also opens
the page, with the network off, which needs what requirements-browser.txt lists (make setup-all).
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench import backends
from deploybench.machine import identity
from deploybench.records.record import CaseRecord, RunRecord
from validation.report_pictures import browser, open_report

ROOT = Path(__file__).resolve().parents[1]
MODELS, BACKENDS, CALLS = 80, 16, 200


def made_up(path: Path, models: int, columns: Sequence[str], calls: int, day: float = 0.0) -> None:
    """Write a run in which each call takes about 10 ms. day: when it was made, since 1970."""
    draw, registry = random.Random(path.name), backends.registry()
    cases = [
        CaseRecord(
            *(f"model{number}", name, registry[name].title, registry[name].order),
            tuple(0.01 * draw.lognormvariate(0, 0.02) for _ in range(calls)),
        )
        for number in range(models)
        for name in columns
    ]
    made = RunRecord(path, {"cpu": "made up"}, tuple(cases), identity=path.name).to_json()
    made["datetime"] = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(86400 * day))
    path.write_text(json.dumps(made))


def seconds(*words: str) -> float:
    """How long a subcommand takes, from the start of its process to its end."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "deploybench", *words]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def of_report(folder: Path) -> None:
    """Make the page, and open it."""
    saved, written = folder / "run.json", folder / "report.html"
    made_up(saved, MODELS, list(backends.registry())[:BACKENDS], CALLS)
    took = seconds("report", str(saved), "-o", str(written))
    size = written.stat().st_size / 1e6
    print(f"report of {MODELS} models x {BACKENDS} backends: {took:.2f} s, {size:.2f} MB")
    if not shutil.which("chromium") and not shutil.which("google-chrome"):
        print("not opened: there is no Chromium")
        return
    with browser() as opened:
        for _ in range(3):
            began = time.perf_counter()
            open_report(opened, written)
            print(f"opened in {time.perf_counter() - began:.2f} s")


def of_history(folder: Path, runs: int) -> None:
    """Index the runs, and ask twice."""
    storage = folder / "storage"
    storage.mkdir()
    for number in range(runs):
        path = storage / f"{number:05}_run.json"
        made_up(path, 1, ["eager", "scripted"], 20, day=20_000 + number / 100)
    for what in ("indexed and shown", "shown again", "shown again"):
        took = seconds("history", "--storage", str(storage))
        print(f"history of {runs} runs, {what}: {took:.2f} s")


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10_000, help="of the history (default: 10000)")
    arguments = parser.parse_args()
    print(f"{platform.node()}: {identity.cpu_name()}")
    with tempfile.TemporaryDirectory() as name:
        of_report(Path(name))
        of_history(Path(name), arguments.runs)


if __name__ == "__main__":
    main()
