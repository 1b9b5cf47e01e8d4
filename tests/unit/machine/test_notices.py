"""The notices about the machine before a run and after it."""

from __future__ import annotations

import itertools
import time
from types import SimpleNamespace

import psutil
import pytest

from deploybench.machine import notices
from deploybench.machine.interference import Disturbance, Limits, Watch
from deploybench.machine.notices import MachineNoise


def notices_before(monkeypatch, tmp_path, found=None, governor="", plugged=True):
    file = tmp_path / "scaling_governor"
    if governor:
        file.write_text(f"{governor}\n")
    battery = SimpleNamespace(power_plugged=plugged)
    monkeypatch.setattr(notices, "GOVERNOR", file)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery)
    watch = SimpleNamespace(
        look=lambda: None, between=lambda *_: found or Disturbance(), limits=Limits()
    )
    return notices.before_run(watch, seconds=0)


@pytest.mark.parametrize("governor", ["", "performance", "schedutil"])
def test_a_quiet_machine_gives_no_notice(monkeypatch, tmp_path, governor):
    assert notices_before(monkeypatch, tmp_path, governor=governor) == []


def test_every_disturbance_is_noticed_before_a_run(monkeypatch, tmp_path):
    found = Disturbance(0.31, 0.04, 0.12, None, frozenset({"thermal"}), frozenset({123}))
    given = notices_before(monkeypatch, tmp_path, found, "powersave", plugged=False)
    assert [notice.seen for notice in given] == [
        "before the run, other processes used 31% of the cores",
        "before the run, the hypervisor took 4% of the cores' time",
        "before the run, the CPU's clock was 12% lower than at the start",
        "before the run, another process on the GPU (pid 123)",
        "before the run, the GPU was throttled: thermal",
        "the CPU's governor is powersave",
        "the machine runs on its battery",
    ]
    assert_complete(given)


def test_a_machine_without_a_battery_is_not_noticed(monkeypatch):
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None)
    given = notices.before_run(Watch("cpu"), seconds=0)
    assert not [notice for notice in given if "battery" in notice.seen]


def assert_complete(given):
    for notice in given:
        assert all((notice.seen, notice.effect, notice.remedy))
        assert notice.line() == f"{notice.seen}: {notice.effect}; {notice.remedy}"
        assert "\n" not in notice.line()


STEADY = MachineNoise(median=0.005, spread=0.02)


@pytest.mark.parametrize(
    ("end", "seen"),
    [
        (STEADY, None),
        (MachineNoise(0.0052, 0.09), None),
        (MachineNoise(0.0056, 0.02), "took 12% longer after the run"),
        (MachineNoise(0.0044, 0.02), "took 12% less after the run"),
        (MachineNoise(0.005, 0.2), "varied by 20%"),
        (MachineNoise(0.01, 0.2), "took 100% longer after the run and varied by 20%"),
    ],
)
def test_the_machines_own_noise_is_compared(end, seen):
    notice = notices.compare(STEADY, end)
    assert (notice and notice.seen) == (seen and f"a fixed workload {seen}")
    assert_complete([notice] if notice else [])


def test_a_machine_unsteady_at_the_start_is_noticed():
    assert "varied by 30%" in notices.compare(MachineNoise(0.005, 0.3), STEADY).seen


def test_a_run_without_disturbance_ends_without_a_notice():
    assert notices.after_run(STEADY, STEADY, repeated=0, disturbed=0) == []


def test_models_timed_again_are_counted():
    undisturbed, stuck = (
        notices.after_run(STEADY, STEADY, repeated=3, disturbed=count)[0] for count in (0, 2)
    )
    assert undisturbed.seen == "models timed again because of other work: 3, still disturbed: 0"
    assert stuck.seen == "models timed again because of other work: 3, still disturbed: 2"
    assert "*" in stuck.effect
    assert "*" not in undisturbed.effect
    unsteady = MachineNoise(0.01, 0.02)
    assert_complete([undisturbed, *notices.after_run(STEADY, unsteady, repeated=3, disturbed=2)])


def test_the_machines_own_noise_is_of_the_clocks_seconds():
    def ticking():
        """5 ms of work each round, in every fourth round 6; each round reads the clock twice."""
        now = 0.0
        for seconds in itertools.cycle([0.005, 0.005, 0.005, 0.006]):
            yield now
            now += seconds
            yield now

    ticks = ticking()
    found = notices.measure_machine_noise("cpu", clock=lambda: next(ticks))
    assert found.median == pytest.approx(0.005)
    # The third quartile lies between the 45th and the 46th of 60, three quarters of the way.
    assert found.spread == pytest.approx(0.15)


def test_the_fixed_work_takes_a_short_time():
    start = time.perf_counter()
    found = notices.measure_machine_noise("cpu")
    assert 0 < found.median < time.perf_counter() - start < 10
