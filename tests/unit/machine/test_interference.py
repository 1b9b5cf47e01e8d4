"""Who else uses the machine, and how steady it is by itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from deploybench.machine import interference, topology
from deploybench.machine.counters import Counters
from deploybench.machine.finding import Place
from deploybench.machine.interference import Disturbance, Limits, Snapshot, Watch

NOBODY = 2**22 + 1
BUSY = "import time\nprint('busy', flush=True)\nwhile True: pass"


@pytest.fixture
def watch(monkeypatch) -> Watch:
    """Of a machine with four cores, a tick of 10 ms and a mean clock of 3000 MHz."""
    monkeypatch.setattr(psutil, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "sysconf", lambda _: 100)
    monkeypatch.setattr(Counters, "mean_mhz", lambda _: 3000.0)
    return Watch("cpu", place=Place(Path("/nowhere")))


@pytest.fixture
def busy_child():
    """A process that uses one core."""
    process = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"busy\n"
    yield process
    process.kill()
    process.communicate()


class NoAnswer(Exception):
    """What the fake library raises."""


def fake_library(**functions):
    def refuse(*_):
        raise NoAnswer

    answers = {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetHandleByUUID": lambda uuid: uuid,
        "nvmlDeviceGetClockInfo": lambda *_: 1410,
        "nvmlDeviceGetCurrentClocksEventReasons": lambda _: 0,
        "nvmlDeviceGetComputeRunningProcesses": lambda _: [],
    }
    refused = {name: refuse for name, given in functions.items() if given is None}
    return SimpleNamespace(NVMLError=NoAnswer, NVML_CLOCK_SM=1, **(answers | functions | refused))


@pytest.fixture
def gpu_watch(monkeypatch):
    """A function from what the library answers to a watch of a GPU."""

    def made(**functions) -> Watch:
        monkeypatch.setitem(sys.modules, "pynvml", fake_library(**functions))
        monkeypatch.setattr(interference, "_gpu_uuid", lambda device: f"GPU-of-{device}")
        return Watch("cuda:1")

    return made


def running(*pids):
    return lambda _: [SimpleNamespace(pid=pid) for pid in pids]


def test_shares_are_of_all_cores(watch):
    start = Snapshot(seconds=10, busy=100, steal=5, own=50, mhz=3000)
    end = Snapshot(seconds=12, busy=104.04, steal=5.44, own=52, mhz=2400)
    found = watch.between(start, end)
    # Of 8 CPU seconds, less 4 ticks.
    assert found.other_load == pytest.approx(2 / 8)
    assert found.steal == pytest.approx(0.4 / 8)
    assert found.frequency == 0
    assert found.reasons(watch.limits) == (
        "other processes used 25% of the cores",
        "the hypervisor took 5% of the cores' time",
    )


def test_our_own_processes_are_not_a_disturbance(watch):
    found = watch.between(Snapshot(0, 100, 0, 50), Snapshot(1, 104, 0, 54))
    assert found == Disturbance()
    assert found.reasons(watch.limits) == ()


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.02])
def test_one_tick_on_each_core_means_nothing_in_a_short_interval(watch, seconds):
    found = watch.between(Snapshot(5, 100, 0, 50), Snapshot(5 + seconds, 100.04, 0.04, 50))
    assert found.reasons(watch.limits) == ()


def test_a_short_interval_with_more_than_rounding_is_disturbed(watch):
    found = watch.between(Snapshot(5, 100, 0, 50), Snapshot(5.04, 100.12, 0, 50))
    assert found.other_load == pytest.approx(0.5)


def test_the_clock_is_lower_only_where_both_looks_find_it_so(watch):
    def drop(start, end):
        looks = Snapshot(0, 0, 0, 0, mhz=start), Snapshot(1, 0, 0, 0, mhz=end)
        return watch.between(*looks).frequency

    assert drop(2400, 2100) == pytest.approx(0.2)
    assert drop(3000, 2100) == drop(3300, 3300) == drop(None, 2100) == drop(2100, None) == 0


def test_the_reasons_have_figures():
    found = Disturbance(0.314, 0.04, 0.12, 1410, frozenset({"thermal"}), frozenset({45, 123}))
    assert found.reasons(Limits()) == (
        "other processes used 31% of the cores",
        "the hypervisor took 4% of the cores' time",
        "the CPU's clock was 12% lower than at the start",
        "another process on the GPU (pid 45, pid 123)",
        "the GPU was throttled: thermal (1410 MHz)",
    )
    allowed = Limits(0.4, 0.05, 0.2, gpu_processes=2, throttle=frozenset({"power cap"}))
    assert found.reasons(allowed) == ()


def test_two_disturbances_are_compared_by_size():
    sizes = [
        each.size
        for each in (
            Disturbance(),
            Disturbance(other_load=0.1),
            Disturbance(other_load=0.1, steal=0.05),
            Disturbance(throttle=frozenset({"thermal"})),
        )
    ]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 4


def use(process, seconds):
    """Wait until a process has used so many CPU seconds, however busy the machine is."""
    times = psutil.Process(process.pid).cpu_times
    enough = times().user + seconds
    deadline = time.monotonic() + 20
    while times().user < enough:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_busy_child_is_ours(busy_child):
    watch = Watch("cpu")
    start = watch.look()
    use(busy_child, 0.3)
    living = watch.look()
    busy_child.kill()
    busy_child.wait()
    ended = watch.look()
    assert living.own - start.own > 0.25
    assert ended.own >= living.own


def test_seconds_that_go_from_a_child_to_its_parent_stay_as_many(monkeypatch):
    """0.1 + 0.2 is more than 0.3 in floats."""
    seconds = {1: 0.1, 2: 0.2}
    monkeypatch.setattr(interference, "_process_seconds", seconds.get)
    living = interference._own_seconds([1, 2])
    seconds |= {1: 0.3}
    assert interference._own_seconds([1]) >= living


def test_a_busy_process_that_is_not_ours_is_another(monkeypatch, busy_child):
    # So that the rounding of many cores does not hide it.
    monkeypatch.setattr(psutil, "cpu_count", lambda: 1)
    everywhere = Place(cores=frozenset())
    watch = Watch("cpu", own_processes=lambda: [os.getpid()], place=everywhere)
    start = watch.look()
    use(busy_child, 0.3)
    end = watch.look()
    # The kernel counts its cores by samples, so not all that was used need be seen.
    assert watch.between(start, end).other_load > 0.15 / (end.seconds - start.seconds)


def test_grandchildren_are_ours():
    code = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', sys.argv[1]])"
    command = [sys.executable, "-c", code, "print('there', flush=True); input()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as child:
        assert child.stdout.readline() == b"there\n"
        (grandchild,) = psutil.Process(child.pid).children()
        assert {os.getpid(), child.pid, grandchild.pid} <= set(interference._own_and_descendants())
        child.communicate(b"\n")


def test_a_process_that_has_ended_counts_nothing():
    assert interference._own_seconds([NOBODY]) == 0


def test_a_look_is_on_the_watchs_clock():
    assert Watch("cpu", clock=lambda: 42.0).look().seconds == 42


def test_a_cpu_gives_no_gpu_reasons(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", fake_library())
    look = Watch("cpu").look()
    assert (look.gpu_mhz, look.throttle, look.gpu_processes) == (None, frozenset(), frozenset())


@pytest.mark.parametrize("library", [None, fake_library(nvmlInit=None)])
def test_without_nvidias_library_or_its_driver_nothing_is_known_of_the_gpu(monkeypatch, library):
    monkeypatch.setitem(sys.modules, "pynvml", library)
    look = Watch("cuda:0").look()
    assert (look.gpu_mhz, look.throttle, look.gpu_processes) == (None, frozenset(), frozenset())


def test_the_gpu_that_torch_means_is_asked(gpu_watch):
    asked = []
    gpu_watch(nvmlDeviceGetHandleByUUID=asked.append)
    assert asked == ["GPU-of-cuda:1"]


def test_others_on_the_gpu_are_distinguished_from_ours(gpu_watch, busy_child):
    pids = (os.getpid(), os.getppid(), busy_child.pid, NOBODY)
    watch = gpu_watch(nvmlDeviceGetComputeRunningProcesses=running(*pids))
    look = watch.look()
    assert look.gpu_processes == {os.getppid()}
    found = watch.between(look, look)
    assert found.reasons(Limits()) == (f"another process on the GPU (pid {os.getppid()})",)


@pytest.mark.parametrize(
    ("bits", "reasons"),
    [
        (0x01 | 0x02 | 0x10 | 0x100, ""),
        (0x04, "power cap"),
        (0x08, "hardware slowdown"),
        (0x20, "thermal"),
        (0x40, "thermal"),
        (0x80 | 0x04, "power brake, power cap"),
    ],
)
def test_a_low_gpu_clock_counts_for_some_reasons(gpu_watch, bits, reasons):
    watch = gpu_watch(nvmlDeviceGetCurrentClocksEventReasons=lambda _: bits)
    look = watch.look()
    named = (f"the GPU was throttled: {reasons} (1410 MHz)",) if reasons else ()
    assert watch.between(look, look).reasons(Limits()) == named


def test_what_was_seen_at_either_end_counts(watch):
    start = Snapshot(0, 0, 0, 0, throttle=frozenset({"thermal"}), gpu_processes=frozenset({7}))
    end = Snapshot(1, 0, 0, 0, throttle=frozenset({"power cap"}), gpu_processes=frozenset({8}))
    found = watch.between(start, end)
    assert found.throttle == {"thermal", "power cap"}
    assert found.gpu_processes == {7, 8}


def test_what_the_gpu_does_not_tell_is_left_out(gpu_watch):
    look = gpu_watch(
        nvmlDeviceGetClockInfo=None,
        nvmlDeviceGetCurrentClocksEventReasons=None,
        nvmlDeviceGetComputeRunningProcesses=None,
    ).look()
    assert (look.gpu_mhz, look.throttle, look.gpu_processes) == (None, frozenset(), frozenset())


def test_only_the_cpus_of_the_run_count(tmp_path):
    """Others' work on CPUs that the run may not use does not disturb it."""

    (tmp_path / "proc").mkdir()

    def plant(own: int, other: int, steal: int = 0) -> None:
        lines = ["cpu  9 9 9 9 9 9 9 9 0 0"]
        for cpu, busy in enumerate([other, own, own, other]):
            lines.append(f"cpu{cpu} {busy} 0 0 1000 0 0 0 {steal * (cpu in (1, 2))} 0 0")
        (tmp_path / "proc" / "stat").write_text("\n".join([*lines, "intr 1"]))

    def look(*ticks: int) -> Snapshot:
        plant(*ticks)
        return watch.look()

    now = iter([0.0, 1.0, 2.0, 3.0])
    place = Place(tmp_path, {}, frozenset({1, 2}))
    plant(100, 100)
    watch = Watch("cpu", lambda: [], clock=lambda: next(now), place=place)
    idle = look(100, 100)
    elsewhere = look(100, 200)
    assert watch.between(idle, elsewhere) == Disturbance()
    here = look(150, 200, 10)
    found = watch.between(elsewhere, here)
    rounding = 2 * watch._tick
    assert found.other_load == pytest.approx((100 * watch._tick - rounding) / 2)
    assert found.steal == pytest.approx((20 * watch._tick - rounding) / 2)


def test_a_cpu_of_the_same_core_counts_too(tmp_path):
    (tmp_path / "proc").mkdir()
    place = Place(tmp_path, {}, frozenset({0}))
    sibling = tmp_path / topology.SIBLINGS.format(0)
    sibling.parent.mkdir(parents=True)
    sibling.write_text("0,2\n")

    def plant(*busy: int) -> None:
        lines = [f"cpu{cpu} {each} 0 0 1000 0 0 0 0 0 0" for cpu, each in enumerate(busy)]
        (tmp_path / "proc" / "stat").write_text("\n".join(lines))

    plant(0, 0, 0)
    counters = Counters(place)
    assert counters.cores == 1
    before, _ = counters.seconds()
    plant(0, 50, 100)
    after, _ = counters.seconds()
    assert after - before == pytest.approx(100 * counters.tick)
