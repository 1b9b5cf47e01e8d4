"""The CPUs of a run: who starts with them, and what limits them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploybench import settings
from deploybench.machine import control_groups, cpus, notices, processor
from deploybench.machine.control_groups import Throttling
from deploybench.machine.finding import Place
from deploybench.machine.notices import MachineNoise
from tests.unit.machine.test_doctor import Watched, place
from tests.unit.machine.test_interference import Disturbance

ONLINE = {"sys/devices/system/cpu/online": "0-3"}
V2 = {"proc/self/cgroup": "0::/"}


@pytest.mark.parametrize("text", ["", "0", "0-3", "0-3,8,10-11"])
def test_cpus_are_written_as_the_kernel_does(text):
    assert cpus.notation(cpus.numbers(text)) == text


@pytest.mark.skipif(len(cpus.of_run()) < 2, reason="needs two CPUs")
def test_what_is_started_gets_the_mask_of_the_run_though_openmp_narrowed_ours():
    """Whether torch was imported before this package, or after it."""
    program = (
        "import os, subprocess, sys\n"
        "{first}\n{second}\n"
        "from deploybench import processes\n"
        "code = 'import os; print(len(os.sched_getaffinity(0)))'\n"
        "child = processes.run([sys.executable, '-c', code], 60).stdout.strip()\n"
        "print(len(os.sched_getaffinity(0)), child, cpus.mask())"
    )
    ours = "from deploybench.machine import cpus"
    for order in (("import torch", ours), (ours, "import torch")):
        command = [sys.executable, "-c", program.format(first=order[0], second=order[1])]
        ran = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[3],
            env={**os.environ, "OMP_PROC_BIND": "true"},
        )
        assert ran.stdout.split() == ["1", str(len(cpus.of_run())), cpus.mask()]


def test_a_thread_is_bound_again_afterwards():
    lone = {min(cpus.of_run())}
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, lone)
    try:
        with cpus.released():
            assert os.sched_getaffinity(0) == cpus.of_run()
        assert os.sched_getaffinity(0) == lone
    finally:
        os.sched_setaffinity(0, before)


def test_a_machine_that_limits_nothing_adds_no_condition(tmp_path):
    """So its runs are comparable with those of versions that did not record any."""
    assert processor.limits(place(tmp_path, ONLINE)) == {}
    whole = ONLINE | V2 | {"sys/fs/cgroup/cpu.max": "400000 100000"}
    assert processor.limits(place(tmp_path, whole)) == {}


def test_mask_and_quota_are_conditions_under_their_own_names(tmp_path):
    files = ONLINE | V2 | {"sys/fs/cgroup/cpu.max": "50000 100000"}
    assert processor.limits(place(tmp_path, files, cores=2)) == {
        "cpu_mask": "0-1",
        "cpu_quota": 0.5,
    }


HYBRID = "cgroup /cg/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\nnone /cg/unified cgroup2 rw 0 0"


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/unified/cpu.max": "150000 100000"}, 1.5),
        # Mounted elsewhere, with the path of the host.
        (
            {
                "proc/self/cgroup": "3:cpu,cpuacct:/docker/x\n0::/y",
                "proc/self/mounts": HYBRID,
                "cg/cpu,cpuacct/cpu.cfs_quota_us": "250000",
                "cg/cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            2.5,
        ),
        # What is garbled is unknown, and hides no other limit.
        (
            {
                "proc/self/cgroup": "0::/a/b",
                "proc/self/mounts": "garbage",
                "sys/fs/cgroup/a/b/cpu.max": "much 0",
                "sys/fs/cgroup/a/cpu.max": "300000 100000",
            },
            3.0,
        ),
        ({"proc/self/cgroup": "garbage"}, None),
    ],
)
def test_a_quota_is_found_wherever_its_group_is(tmp_path, files, limit):
    assert control_groups.quota(place(tmp_path, files)) == limit


@pytest.mark.parametrize(("limit", "threads"), [(None, 8), (0.5, 1), (2.9, 2), (64.0, 8)])
def test_threads_stay_within_the_quota(monkeypatch, limit, threads):
    import torch

    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(control_groups, "quota", lambda _: limit)
    assert settings.default_threads() == threads
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "2")
    assert settings.default_threads() == max(1, threads // 2)


def test_more_threads_than_the_quota_are_noticed():
    def before(threads: int, quota: float | None) -> list[str]:
        watch = Watched(Disturbance())
        found = notices.before_run(watch, 0, threads=threads, quota=quota)
        return [notice.line() for notice in found if "quota" in notice.seen]

    assert before(2, 2.0) == before(4, None) == []
    (line,) = before(4, 2.5)
    assert line.startswith("the CPU quota is 2.5 CPUs for 4 threads: calls are stopped when")
    assert "use --threads 2, or raise it" in line
    (line,) = before(1, 0.5)
    assert "--threads" not in line


def test_throttled_calls_are_noticed(tmp_path):
    stat = "nr_periods {}\nnr_throttled {}\nthrottled_usec {}"
    path = "sys/fs/cgroup/cpu.stat"
    before = control_groups.throttling(place(tmp_path, V2 | {path: stat.format(100, 5, 1_000_000)}))
    after = control_groups.throttling(place(tmp_path, V2 | {path: stat.format(160, 25, 3_500_000)}))
    assert before == Throttling(100, 5, 1.0)
    steady = MachineNoise(0.005, 0.01)
    ended = notices.after_run(
        steady, steady, repeated=0, disturbed=0, throttling=after.since(before)
    )
    assert [notice.seen for notice in ended] == [
        "the CPU quota stopped the run in 20 of 60 periods, for 2.5 s in all"
    ]
    calm = before.since(before)
    assert not notices.after_run(steady, steady, repeated=0, disturbed=0, throttling=calm)
    v1 = {
        "proc/self/cgroup": "4:cpu:/",
        "sys/fs/cgroup/cpu/cpu.stat": "nr_periods 9\nnr_throttled 2\nthrottled_time 500000000",
    }
    assert control_groups.throttling(place(tmp_path / "v1", v1)) == Throttling(9, 2, 0.5)
    assert control_groups.throttling(Place(tmp_path / "none")) is None
