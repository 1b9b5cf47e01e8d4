"""What cannot be read of the machine is unknown, whatever the reader raises or returns."""

from __future__ import annotations

import math
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from deploybench import processes, settings
from deploybench.machine import (
    control_groups,
    cpus,
    doctor,
    gpu_findings,
    identity,
    interference,
    notices,
    packages,
    processor,
)
from deploybench.machine.finding import NOT_KNOWN, Place
from deploybench.machine.interference import Disturbance, Watch
from deploybench.runner.fingerprint import fingerprint
from deploybench.runner.options import RunOptions
from deploybench.timing.memory import resident_bytes

ERRORS = (
    *(FileNotFoundError, PermissionError, NotImplementedError, TypeError, ValueError, KeyError),
    *(AttributeError, RuntimeError, ZeroDivisionError, IndexError, UnicodeDecodeError, ImportError),
    *(psutil.AccessDenied, MemoryError),
)
READERS = (
    *((psutil, name) for name in ("cpu_count", "cpu_freq", "cpu_times", "sensors_battery")),
    *((psutil, name) for name in ("Process", "pid_exists")),
    *((os, name) for name in ("sched_getaffinity", "sched_setaffinity", "sysconf")),
    *((Path, name) for name in ("read_text", "glob", "exists")),
    (metadata, "version"),
    *((platform, name) for name in ("processor", "system")),
)


def broken(error: type[Exception]):
    def raises(*_, **__):
        raise error(*("utf-8", b"", 0, 1, "no") if error is UnicodeDecodeError else (1,))

    return raises


def describe(place: Place) -> None:
    """All that describes a machine."""
    options = RunOptions([], [], threads=1)
    fingerprint(options.plan(), options.protocol())
    watch = Watch("cpu", place=place)
    found = watch.between(watch.look(), watch.look())
    assert math.isfinite(found.size)
    notices.before_run(watch, 0, threads=1, quota=control_groups.quota(place))
    control_groups.throttling(place)
    identity.cpu_name(place)
    doctor.examine(place, {"tool": lambda: "there"}, {"folder": Path("/")})
    packages.installed_version("pytest")
    settings.default_threads()
    resident_bytes()
    processes.peak_resident_bytes(os.getpid())
    with cpus.released():
        pass


@pytest.mark.parametrize(
    "owner_and_name", READERS, ids=[f"{each.__name__}.{name}" for each, name in READERS]
)
def test_no_sensor_ends_a_run(monkeypatch, owner_and_name):
    monkeypatch.setattr(doctor, "load", lambda watch: [])  # it waits
    monkeypatch.setattr(metadata, "packages_distributions", broken(OSError))  # it is slow
    place = Place()
    for error in ERRORS:
        with monkeypatch.context() as patched:
            patched.setattr(*owner_and_name, broken(error))
            describe(place)


@pytest.mark.parametrize("answer", [None, "", "N/A", -1, math.nan, (), SimpleNamespace()])
def test_no_answer_of_another_kind_ends_a_run(monkeypatch, answer):
    monkeypatch.setattr(doctor, "load", lambda watch: [])
    for name in ("cpu_freq", "cpu_times", "sensors_battery"):
        with monkeypatch.context() as patched:
            patched.setattr(psutil, name, lambda *_, **__: answer)
            describe(Place())


@pytest.mark.parametrize("text", ["", "\0", "a:b:c\nd", "cpu0 x y", "cpu\ncpuinfo", "9" * 5000])
def test_no_garbled_file_ends_a_run(monkeypatch, tmp_path, text):
    monkeypatch.setattr(doctor, "load", lambda watch: [])
    files = "proc/stat proc/cpuinfo proc/meminfo proc/self/cgroup proc/self/mounts"
    files += " sys/fs/cgroup/cpu.max sys/fs/cgroup/cpu.stat sys/devices/system/cpu/online"
    files += " sys/devices/system/cpu/smt/active"
    for file in files.split():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    describe(Place(tmp_path))
    processor.limits(Place(tmp_path))


@pytest.mark.parametrize("error", ERRORS)
def test_nothing_of_nvidias_library_ends_a_run(monkeypatch, error):
    import torch

    functions = ("nvmlInit", "nvmlShutdown", "nvmlDeviceGetCount", "nvmlSystemGetDriverVersion")
    functions += ("nvmlDeviceGetHandleByUUID", "nvmlDeviceGetHandleByIndex")
    functions += tuple(
        f"nvmlDeviceGet{name}"
        for name in ("ClockInfo", "MaxClockInfo", "CurrentClocksEventReasons", "PersistenceMode")
    )
    functions += ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetEnforcedPowerLimit")
    monkeypatch.setattr(interference, "_gpu_uuid", lambda _: "GPU-1")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "A GPU")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid=1))
    for refused in functions:
        library = {name: lambda *_: 1 for name in functions}
        library |= {refused: broken(error), "NVML_CLOCK_SM": 1, "NVMLError": KeyError}
        monkeypatch.setitem(sys.modules, "pynvml", SimpleNamespace(**library))
        watch = Watch("cuda:0")
        assert watch.between(watch.look(), watch.look()).gpu_processes == frozenset()
        assert processor.gpu("cuda:0")["gpu"] == "A GPU"
        assert gpu_findings.gpus()


def test_a_counter_that_fails_for_a_moment_disturbs_nothing(monkeypatch):
    watch = Watch("cpu", own_processes=lambda: [os.getpid()])
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", broken(OSError))
        start = watch.look()
    found = watch.between(start, watch.look())
    assert (found.other_load, found.steal) == (Disturbance().other_load, Disturbance().steal)


def test_an_examination_that_fails_is_said_to_be_unknown(monkeypatch):
    monkeypatch.setattr(doctor, "load", broken(TypeError))
    found = doctor.examine(Place(), {}, {})
    assert ("other load", NOT_KNOWN) in [(each.subject, each.verdict) for each in found]
