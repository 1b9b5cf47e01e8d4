"""Jobs run as processes, each in a slot of its own; what fails is named and loses nothing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from deploybench import processes
from deploybench.machine import cpus
from deploybench.records import reading
from deploybench.sweep.job import Job
from deploybench.sweep.local import Local
from deploybench.sweep.slots import Slot

from ..saved_runs import document

# Stands for `bench`: saves a run, and says what its process may use.
BENCH = """
import json, os, sys, time
from deploybench import processes
processes.end_with_parent()
given = dict(word[2:].partition("=")[::2] for word in sys.argv[1:])
time.sleep(float(given.get("sleep", 0)))
run = json.loads(os.environ["RUN"])
run["machine_info"]["deploybench"]["fingerprint"] |= {
    "mask": ",".join(map(str, sorted(os.sched_getaffinity(0)))),
    "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
}
if "save" not in given:
    with open(given["benchmark-json"], "w") as file:
        file.write(json.dumps(run)[: int(given.get("cut", 10**9))])
print("ERROR: no such backend")
os.kill(os.getpid(), int(given["signal"])) if "signal" in given else None
sys.exit(int(given.get("code", 0)))
"""


def job(model: str, *passed: str) -> Job:
    return Job(model, model, (), (), 1, passed)


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """Makes an engine whose jobs are such processes."""
    (tmp_path / "bench.py").write_text(BENCH)
    (tmp_path / "jobs").mkdir()
    monkeypatch.setenv("RUN", json.dumps(document({("net", "eager"): [0.01] * 5})))

    def make(*slots: Slot, deadline: float = 60.0) -> Local:
        command = (sys.executable, str(tmp_path / "bench.py"))
        return Local(slots or [Slot()], tmp_path / "jobs", deadline, command)

    return make


def ran(engine: Local, *jobs: Job):
    ended = []
    engine.run(jobs, ended.append)
    return ended


def test_a_job_leaves_its_saved_run_and_nothing_else(engine, tmp_path):
    (entry,) = ran(engine(), done := job("net"))
    assert (entry.key, entry.reason) == (done.key, "")
    assert entry.seconds > 0
    assert [path.name for path in (tmp_path / "jobs").iterdir()] == [f"{done.key}.json"]
    assert reading.read(tmp_path / "jobs" / f"{done.key}.json").cases


def test_a_job_has_the_cpus_and_the_gpu_of_its_slot_alone(engine, tmp_path):
    mine = sorted(cpus.of_run())
    slots = [Slot(frozenset({mine[0]}), "GPU-a"), Slot(frozenset({mine[-1]}), "GPU-b")]
    entries = ran(engine(*slots), *(job(f"net{number}") for number in range(4)))
    seen = set()
    for entry in entries:
        run = reading.read(tmp_path / "jobs" / f"{entry.key}.json")
        seen.add((run.fingerprint["mask"], run.fingerprint["visible"]))
        expected = next(slot for slot in slots if slot.name == entry.slot)
        assert run.fingerprint["visible"] == expected.gpu
    assert seen <= {(str(mine[0]), "GPU-a"), (str(mine[-1]), "GPU-b")}
    assert os.sched_getaffinity(0) == set(mine)


def test_no_more_jobs_run_at_a_time_than_there_are_slots(engine):
    running, most = set(), []

    def begun(each, _):
        running.add(each.key)
        most.append(len(running))

    one = Slot(frozenset({min(cpus.of_run())}))
    jobs = [job(f"net{number}", "--sleep=0.05") for number in range(6)]
    engine(one, one).run(jobs, lambda entry: running.remove(entry.key), begun)
    assert max(most) == 2 and len(most) == 6


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--code=4",), "exit code 4: ERROR: no such backend"),
        (("--signal=9",), "ended by SIGKILL"),
        (("--cut=40",), "its saved run is neither a whole saved run"),
        (("--save=no",), "exit code 0: ERROR: no such backend"),
    ],
)
def test_a_job_without_a_saved_run_is_named_with_its_reason(engine, tmp_path, words, reason):
    bad, good = ran(engine(), job("bad", *words), job("good"))
    assert bad.reason.startswith(reason)
    assert "\n" not in bad.reason
    assert not good.reason
    assert [path.name for path in (tmp_path / "jobs").iterdir()] == [f"{good.key}.json"]


def test_wrong_answers_are_results(engine):
    (entry,) = ran(engine(), job("net", "--code=1"))
    assert not entry.reason


def test_a_job_over_its_deadline_is_ended(engine):
    (entry,) = ran(engine(deadline=0.5), job("net", "--sleep=60"))
    assert entry.reason == "it took longer than the deadline"


def test_an_interrupted_sweep_leaves_no_process(engine, tmp_path):
    # pytest-xdist's processes ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def begun(*_):
        threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        engine().run([job("net", "--sleep=60")], lambda _: None, begun)
    assert time.monotonic() - started < 30
    signal.signal(signal.SIGINT, before)
    assert not processes_of(tmp_path)
    assert list((tmp_path / "jobs").iterdir()) == []


DRIVER = """
import sys
from pathlib import Path
from deploybench.sweep.job import Job
from deploybench.sweep.local import Local
from deploybench.sweep.slots import Slot
jobs = [Job("net", "net", (), (), 1, ("--sleep=60",))]
engine = Local([Slot()], Path(sys.argv[1]), 60, [sys.executable, sys.argv[2]])
engine.run(jobs, print, lambda *_: print("begun", flush=True))
"""


def test_a_sweep_that_is_killed_leaves_no_process(engine, tmp_path):
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path / "jobs"), str(tmp_path / "bench.py")],
        stdout=subprocess.PIPE,
        env=processes.importing(os.environ),
    )
    with driver:
        assert driver.stdout.readline() == b"begun\n"
        wait_until(lambda: processes_of(tmp_path) - {driver.pid})
        driver.kill()
    wait_until(lambda: not processes_of(tmp_path))


def processes_of(folder: Path) -> set[int]:
    """The processes whose command line has the folder."""
    found = set()
    for about in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(folder) in about.read_text():
                found.add(int(about.parent.name))
    return found


def wait_until(condition) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
