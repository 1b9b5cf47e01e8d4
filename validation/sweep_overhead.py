#!/usr/bin/env python3
"""Measures what a sweep adds to each job, with jobs that only sleep, and the memory of its process.

    .venv/bin/python validation/sweep_overhead.py --jobs 1000
    .venv/bin/python validation/sweep_overhead.py --jobs 1000 --on local

A job is a process that sleeps and saves a small run. The overhead is the time of the whole sweep
per job, less the sleep: so it includes the start of a Python that imports nothing of deploybench,
which is also measured by itself. The memory is that of the process that sweeps, after each tenth of
the jobs.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.machine import identity, topology
from deploybench.records.record import CaseRecord, RunRecord
from deploybench.sweep import ledger, slots
from deploybench.sweep.engine import Engine
from deploybench.sweep.job import Job
from deploybench.sweep.ledger import Entry
from deploybench.sweep.local import Local
from deploybench.sweep.on_ray import OnRay

BENCH = """
import shutil, sys, time
time.sleep(float(sys.argv[2]))
shutil.copyfile(sys.argv[1], sys.argv[-1].partition("=")[2])
"""
DEADLINE = 60.0


def command(folder: Path, seconds: float) -> list[str]:
    """What stands for `bench`: it sleeps, then saves a run of one case."""
    case = CaseRecord("sleeper", "eager", "PyTorch", 0, (seconds,) * 5)
    run = RunRecord(folder / "run.json", {}, (case,), identity="1")
    run.path.write_text(json.dumps(run.to_json()))
    (folder / "bench.py").write_text(BENCH)
    return [sys.executable, str(folder / "bench.py"), str(run.path), str(seconds)]


def engine(on: str, folder: Path, words: list[str]) -> Engine:
    """What runs the jobs, one at a time."""
    if on == "ray":
        return OnRay(folder, DEADLINE, words)
    return Local(slots.of_cpu(topology.cores(), 1), folder, DEADLINE, words)


def bare(words: list[str], folder: Path, times: int = 20) -> float:
    """The seconds of the job's process by itself."""
    started = time.perf_counter()
    for _ in range(times):
        subprocess.run([*words, f"--benchmark-json={folder / 'bare.json'}"], check=True)
    return (time.perf_counter() - started) / times


def sweep(on: str, count: int, seconds: float, folder: Path) -> None:
    """Run the jobs, and print what they cost."""
    (folder / "jobs").mkdir()
    words = command(folder, seconds)
    alone = bare(words, folder) - seconds
    runner = engine(on, folder / "jobs", words)
    own, memory = psutil.Process(), []

    def ended(entry: Entry) -> None:
        assert not entry.reason, entry.reason
        ledger.append(folder, entry)
        done.append(entry.key)
        if len(done) % max(1, count // 10) == 0:
            memory.append(own.memory_info().rss / 2**20)

    done: list[str] = []
    jobs = [Job(f"sleeper{number}", "sleeper", (), (), 1) for number in range(count)]
    started = time.perf_counter()
    runner.run(jobs, ended)
    each = (time.perf_counter() - started) / count - seconds
    saved = {path.stem for path in (folder / "jobs").glob("*.json")}
    assert sorted(done) == sorted(saved), "a job is missing, or there twice"
    print(f"{count} jobs on {on}, {runner.width} at a time: all saved, each once")
    print(f"overhead: {each:.3f} s a job, {alone:.3f} s of which is the start of its Python")
    print(f"memory of the sweep's process: {', '.join(f'{each:.0f}' for each in memory)} MiB")


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=1000, metavar="N", help="default: 1000")
    parser.add_argument("--on", choices=("ray", "local"), default="ray", help="default: ray")
    parser.add_argument(
        "--seconds", type=float, default=0.05, help="that each job sleeps (default: 0.05)"
    )
    arguments = parser.parse_args()
    print(f"{platform.node()}: {identity.cpu_name()}, {len(topology.cores())} cores")
    with tempfile.TemporaryDirectory() as name:
        sweep(arguments.on, arguments.jobs, arguments.seconds, Path(name))


if __name__ == "__main__":
    main()
