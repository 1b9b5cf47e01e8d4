"""Jobs on a Ray cluster are the jobs of this machine, and a lost worker loses no result."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from deploybench.errors import UsageError
from deploybench.machine.topology import Gpu
from deploybench.records import reading
from deploybench.sweep import on_ray
from deploybench.sweep.job import Job

from ..saved_runs import document

BENCH = """
import json, os, sys, time
from pathlib import Path
from deploybench import processes
processes.end_with_parent()
given = dict(word[2:].partition("=")[::2] for word in sys.argv[1:])
Path(given["notes"]).joinpath(f"{given['models']}-{os.getpid()}-{os.getppid()}").touch()
while "wait" in given and not Path(given["notes"], "go").exists():
    time.sleep(0.05)
run = json.loads(os.environ["RUN"])
run["machine_info"]["deploybench"]["fingerprint"] |= {
    "mask": ",".join(map(str, sorted(os.sched_getaffinity(0)))),
    "ray": any(name.startswith("RAY_") for name in os.environ) or "ray" in sys.modules,
    "threads": os.environ.get("OMP_NUM_THREADS"),
}
with open(given["benchmark-json"], "w") as file:
    json.dump(run, file)
"""


def test_a_job_gets_the_cpus_and_the_gpu_that_ray_gave_it():
    cores = [frozenset({0}), frozenset({1})]
    gpus = [Gpu("GPU-a", frozenset({1})), Gpu("GPU-b", frozenset({0}))]
    assert on_ray.slot_of([], cores, gpus).cpus == {0, 1}
    assert on_ray.slot_of(["1"], cores, gpus).gpu == "GPU-b"
    assert on_ray.slot_of(["1"], cores, gpus).cpus == {0}


def test_a_job_sees_no_variable_of_ray():
    assert on_ray.scrubbed({"RAY_ADDRESS": "x", "HOME": "y"}) == {"HOME": "y"}


def test_without_ray_the_line_that_installs_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        UsageError, match=r"needs the package ray: pip install 'deploybench\[ray\]'"
    ):
        on_ray.OnRay(tmp_path, 60, ["python"])


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Makes an engine on a cluster of this machine; its jobs are such processes."""
    pytest.importorskip("ray")
    (tmp_path / "bench.py").write_text(BENCH)
    (tmp_path / "jobs").mkdir()
    monkeypatch.setenv("RUN", json.dumps(document({("net", "eager"): [0.01] * 5})))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))

    def make(**given) -> on_ray.OnRay:
        words = ("python", str(tmp_path / "bench.py"), f"--notes={tmp_path}")
        return on_ray.OnRay(tmp_path / "jobs", 60, words, **given)

    return make


def job(model: str, *passed: str) -> Job:
    return Job(model, model, (), (), 1, passed)


@pytest.mark.slow
def test_a_job_on_a_cluster_has_the_surroundings_of_a_local_one(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", os.devnull)  # nothing can be written there
    ended = []
    engine = cluster()
    assert engine.width == 1
    engine.run([job("a"), job("b")], ended.append)
    assert [entry.reason for entry in ended] == ["", ""]
    for entry in ended:
        run = reading.read(tmp_path / "jobs" / f"{entry.key}.json")
        assert run.fingerprint["mask"] == ",".join(map(str, sorted(os.sched_getaffinity(0))))
        assert run.fingerprint["ray"] is False
        assert run.fingerprint["threads"] == os.environ.get("OMP_NUM_THREADS")


@pytest.mark.sweep
def test_one_engine_after_another_uses_the_cluster(cluster):
    """As with jobs for a CPU and jobs for a GPU: both are made before either runs."""
    ended = []
    first, second = cluster(), cluster()
    first.run([job("a")], ended.append)
    second.run([job("b")], ended.append)
    assert [(entry.model, entry.reason) for entry in ended] == [("a", ""), ("b", "")]


@pytest.mark.sweep
def test_a_killed_worker_costs_its_job_one_retry_and_ends_its_process(cluster, tmp_path):
    killed = []

    def kill_first() -> tuple[int, int]:
        """The first job's process and the worker that runs it, which is killed."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for started in tmp_path.glob("a-*"):
                _, process, worker = started.name.split("-")
                os.kill(int(worker), signal.SIGKILL)
                return int(process), int(worker)
            time.sleep(0.05)
        raise AssertionError("no job was started")

    def plan() -> None:
        killed.extend(kill_first())
        time.sleep(1)
        (tmp_path / "go").touch()

    thread = threading.Thread(target=plan)
    engine = cluster()
    thread.start()
    ended = []
    engine.run([job("a", "--wait"), job("b")], ended.append)
    thread.join()
    assert sorted((entry.model, entry.reason) for entry in ended) == [("a", ""), ("b", "")]
    assert len(list(tmp_path.glob("a-*"))) == 2
    assert not Path(f"/proc/{killed[0]}").exists()


def test_a_cluster_that_cannot_be_reached_is_named(cluster):
    with pytest.raises(UsageError, match=r"cluster at 127\.0\.0\.1:1 cannot be reached: .*see ray"):
        cluster(address="127.0.0.1:1")


@pytest.mark.sweep
def test_a_cluster_that_offers_nothing_is_named(cluster):
    with pytest.raises(UsageError, match="no node of the cluster offers deploybench_slot with the"):
        cluster(machine="another")


@pytest.mark.sweep
@pytest.mark.parametrize("whole", [False, True], ids=["its daemon alone", "the whole node"])
def test_a_killed_node_loses_no_job_and_doubles_none(cluster, tmp_path, whole):
    """What a daemon leaves behind, its worker, still gives its result back."""
    from ray.cluster_utils import Cluster

    # The process that sweeps is on the first node, which has no slot.
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})

    def kill_the_first() -> None:
        wait_for(lambda: list(tmp_path.glob("a-*")))
        (started,) = tmp_path.glob("a-*")
        worker = int(started.name.rpartition("-")[2])
        daemon = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
        killed.append(daemon)
        os.kill(daemon, signal.SIGKILL)
        if whole:
            os.kill(worker, signal.SIGKILL)
            wait_for(lambda: len(list(tmp_path.glob("a-*"))) == 2)
        (tmp_path / "go").touch()

    killed, ended = [], []
    thread = threading.Thread(target=kill_the_first)
    try:
        resources = {on_ray.RESOURCE: 1}
        added = [nodes.add_node(num_cpus=1, num_gpus=0, resources=resources) for _ in range(2)]
        daemons = {each.process.pid for node in added for each in node.all_processes["raylet"]}
        engine = cluster(address=nodes.address)
        assert engine.width == 2
        thread.start()
        engine.run([job("a", "--wait"), job("b")], ended.append)
        thread.join()
    finally:
        nodes.shutdown()
    assert set(killed) < daemons
    assert sorted((entry.model, entry.reason) for entry in ended) == [("a", ""), ("b", "")]
    keys = sorted(path.stem for path in (tmp_path / "jobs").glob("*.json"))
    assert keys == sorted(entry.key for entry in ended)


def wait_for(condition) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
