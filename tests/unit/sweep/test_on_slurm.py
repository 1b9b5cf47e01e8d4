"""Jobs on a Slurm cluster are the jobs of this machine; a lost node loses no result.

Slurm is four small programs here (stand_in_for_slurm.py), or it is submitit's own local executor.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from deploybench import processes
from deploybench.errors import UsageError
from deploybench.machine.topology import Gpu
from deploybench.records import reading
from deploybench.sweep import on_slurm
from deploybench.sweep.job import Job

from ..saved_runs import document
from . import stand_in_for_slurm

BENCH = """
import json, os, sys, time
from pathlib import Path
from deploybench import processes
processes.end_with_parent()
given = dict(word[2:].partition("=")[::2] for word in sys.argv[1:])
notes = Path(given["notes"])
notes.joinpath(f"{given['models']}-{os.getpid()}").touch()
while "wait" in given and not notes.joinpath("go").exists():
    time.sleep(0.05)
if "fail" in given:
    sys.exit("ERROR: it fails")
run = json.loads(os.environ["RUN"])
run["machine_info"]["deploybench"]["fingerprint"] |= {
    "mask": ",".join(map(str, sorted(os.sched_getaffinity(0)))),
    "cluster": ",".join(each for each in os.environ if each.startswith(("SLURM", "SUBMITIT"))),
    "modules": "submitit" in sys.modules,
}
with open(given["benchmark-json"], "w") as file:
    json.dump(run, file)
"""


def job(model: str, *passed: str) -> Job:
    return Job(model, model, (("dtype", "float32"),), (("threads", "1"),), 1, passed)


@pytest.fixture
def jobs_are_processes(tmp_path, monkeypatch):
    """The words that start what stands for `bench`."""
    pytest.importorskip("submitit")
    (tmp_path / "bench.py").write_text(BENCH)
    (tmp_path / "sweep" / "jobs").mkdir(parents=True)
    monkeypatch.setenv("RUN", json.dumps(document({("net", "eager"): [0.01] * 5})))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setattr(on_slurm, "SECONDS_BETWEEN_LOOKS", 0.1)
    return ("python", str(tmp_path / "bench.py"), f"--notes={tmp_path}")


@pytest.fixture
def slurm(tmp_path, monkeypatch, jobs_are_processes):
    """Makes an engine on a Slurm that is made of small programs."""
    import submitit

    stand_in_for_slurm.install(tmp_path, monkeypatch)
    # submitit remembers the state of a number, and each test begins with the same one.
    submitit.SlurmJob.watcher.clear()

    def make(**given) -> on_slurm.OnSlurm:
        return on_slurm.OnSlurm(tmp_path / "sweep" / "jobs", 60, jobs_are_processes, **given)

    return make


def lose(folder: Path, model: str, times: int = 1, state: str = "NODE_FAIL") -> None:
    """Kill the node that runs a model, once its process has started, so many times."""
    before = len(list(folder.glob(f"{model}-*")))
    for number in range(before, before + times):
        wait_until(lambda number=number: len(list(folder.glob(f"{model}-*"))) > number)
        newest = max((folder / "slurm" / "states").iterdir())
        subprocess.run(["scancel", newest.name], env={**os.environ, "STATE": state})


def wait_until(condition) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def started(folder: Path, model: str) -> list[int]:
    """The processes that have measured a model."""
    return [int(path.name.partition("-")[2]) for path in folder.glob(f"{model}-*")]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], {}),
        (["partition=gpu,gres=gpu:h100:1"], {"partition": "gpu", "gres": "gpu:h100:1"}),
        (["nodelist=a,b", "gpus-per-node=2"], {"nodelist": "a,b", "gpus_per_node": "2"}),
        (["--exclusive=false,contiguous=true"], {"exclusive": False, "contiguous": True}),
    ],
)
def test_options_of_sbatch_are_given_by_name(given, expected):
    assert on_slurm.parameters(given) == expected


@pytest.mark.parametrize("given", ["gpu", "=gpu", "--=gpu,a=b"])
def test_what_is_no_option_of_sbatch_is_refused(given):
    with pytest.raises(UsageError, match=f"--slurm '{given}' is no option of sbatch; give NAME="):
        on_slurm.parameters([given])


def test_a_job_gets_the_cpus_and_the_first_gpu_that_slurm_gave_it():
    cores = [frozenset({0}), frozenset({1})]
    gpus = [Gpu("GPU-a", frozenset({1})), Gpu("GPU-b", frozenset({0}))]
    assert on_slurm.slot_of(False, cores, gpus).gpu is None
    slot = on_slurm.slot_of(True, cores, gpus)
    assert (slot.cpus, slot.gpu) == ({0, 1}, "GPU-a")
    with pytest.raises(UsageError, match="Slurm gave the job no GPU"):
        on_slurm.slot_of(True, cores, [])


def test_without_submitit_or_slurm_one_line_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UsageError, match=r"package submitit: pip install 'deploybench\[slurm\]'"):
        on_slurm.OnSlurm(tmp_path, 60, ["python"])
    monkeypatch.setitem(sys.modules, "submitit", object())
    with pytest.raises(UsageError, match="no sbatch, srun, sacct, scancel on the PATH; start the"):
        on_slurm.OnSlurm(tmp_path, 60, ["python"])


def test_a_job_through_submitit_has_the_surroundings_of_a_local_one(tmp_path, jobs_are_processes):
    from submitit import LocalExecutor

    ended = []
    folder = tmp_path / "sweep" / "jobs"
    engine = on_slurm.OnSlurm(
        folder,
        60,
        jobs_are_processes,
        width=2,
        executor=lambda own, python: LocalExecutor(own, python=python),
    )
    engine.run([job("a"), job("b", "--fail")], ended.append)
    good, bad = sorted(ended, key=lambda entry: entry.model)
    assert bad.reason == "exit code 1: ERROR: it fails"
    assert (good.reason, good.place) == ("", "dtype=float32, run 1")
    assert good.slot.startswith(os.uname().nodename)
    run = reading.read(folder / f"{good.key}.json")
    assert run.fingerprint["mask"] == ",".join(map(str, sorted(os.sched_getaffinity(0))))
    assert (run.fingerprint["cluster"], run.fingerprint["modules"]) == ("", False)
    assert [path.name for path in folder.iterdir()] == [f"{good.key}.json"]
    # Its files are kept, and are its owner's alone, because submitit unpickles them.
    (kept,) = (tmp_path / "sweep" / "slurm").iterdir()
    assert kept.name == bad.key
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700


def test_a_node_is_asked_for_whole_and_for_longer_than_the_deadline(slurm, tmp_path):
    ended = []
    slurm(options={"partition": "gpu", "constraint": "epyc", "no_requeue": False}).run(
        [job("a")], ended.append
    )
    assert [entry.reason for entry in ended] == [""]
    (script,) = (tmp_path / "slurm").glob("script-*")
    lines = script.read_text().splitlines()
    for line in ("partition=gpu", "constraint=epyc", "exclusive", "time=11", "nodes=1"):
        assert f"#SBATCH --{line}" in lines
    assert not [line for line in lines if "srun" in line or "requeue" in line]


def test_a_lost_node_costs_its_job_one_retry(slurm, tmp_path):
    ended = []
    losing = threading.Thread(target=lose, args=(tmp_path, "a"))
    going = threading.Thread(target=lose, args=(tmp_path, "b", 2))
    losing.start()

    def note(entry):
        ended.append(entry)
        going.start() if entry.model == "a" else None

    def go():
        wait_until(lambda: len(started(tmp_path, "a")) == 2)
        (tmp_path / "go").touch()
        wait_until(lambda: ended)
        (tmp_path / "go").unlink()

    letting = threading.Thread(target=go)
    letting.start()
    slurm().run([job("a", "--wait")], note)
    letting.join()
    slurm().run([job("b", "--wait")], note)
    good, bad = ended
    assert not good.reason
    assert bad.reason.startswith("Slurm ended it without a result, twice (NODE_FAIL)")
    assert len(started(tmp_path, "b")) == 2


def lose_once_then_go(folder: Path, state: str) -> None:
    lose(folder, "a", state=state)
    before = len(started(folder, "a"))
    wait_until(lambda: len(started(folder, "a")) > before)
    (folder / "go").touch()


@pytest.mark.parametrize("state", ["NODE_FAIL", "PREEMPTED"])
def test_the_same_command_may_lose_a_node_again(slurm, tmp_path, state):
    ended = []
    losing = threading.Thread(target=lose, args=(tmp_path, "a", 2, state))
    losing.start()
    slurm().run([job("a", "--wait")], ended.append)
    losing.join()
    assert f"twice ({state})" in ended.pop().reason
    losing = threading.Thread(target=lose_once_then_go, args=(tmp_path, state))
    losing.start()
    slurm().run([job("a", "--wait")], ended.append)
    losing.join()
    assert [entry.reason for entry in ended] == [""]
    assert not list((tmp_path / "sweep" / "slurm").iterdir())


def test_what_slurm_refuses_is_one_line(slurm, monkeypatch):
    monkeypatch.setenv("SLURM_REFUSES", "1")
    with pytest.raises(UsageError) as told:
        slurm().run([job("a")], print)
    assert "sbatch refuses the jobs: " in str(told.value)
    assert "invalid partition specified: none; see --slurm" in str(told.value)


def test_an_interrupted_sweep_leaves_nothing_in_the_queue(slurm, tmp_path):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt():
        wait_until(lambda: started(tmp_path, "a"))
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        slurm().run([job("a", "--wait")], print)
    signal.signal(signal.SIGINT, before)
    (state,) = (tmp_path / "slurm" / "states").iterdir()
    assert state.read_text() == "CANCELLED\n"
    (process,) = started(tmp_path, "a")
    wait_until(lambda: not is_running(process))


DRIVER = """
import sys
from pathlib import Path
from deploybench.sweep import on_slurm
from deploybench.sweep.job import Job
jobs = [Job("a", "a", (("dtype", "float32"),), (("threads", "1"),), 1, ("--wait",))]
on_slurm.OnSlurm(Path(sys.argv[1]), 60, sys.argv[2:]).run(jobs, print)
"""


def test_after_a_sweep_was_killed_its_jobs_are_waited_for(slurm, tmp_path, jobs_are_processes):
    folder = str(tmp_path / "sweep" / "jobs")
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, folder, *jobs_are_processes],
        env=processes.importing(os.environ),
    ) as driver:
        wait_until(lambda: started(tmp_path, "a"))
        driver.kill()
    ended = []
    (tmp_path / "go").touch()
    slurm().run([job("a", "--wait")], ended.append)
    assert [entry.reason for entry in ended] == [""]
    assert len(list((tmp_path / "slurm" / "states").iterdir())) == 1, "it was submitted again"
