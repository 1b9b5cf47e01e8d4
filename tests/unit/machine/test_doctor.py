"""doctor on machines that are planted as files."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from deploybench.errors import BackendUnavailable
from deploybench.machine import cpus, doctor, gpu_findings, processor_findings
from deploybench.machine.finding import LOOK, NOT_KNOWN, OK, Place
from deploybench.machine.interference import Disturbance, Limits

CPU = "sys/devices/system/cpu"


def place(root: Path, files: dict[str, str] | None = None, cores: int = 4, **variables) -> Place:
    for name, text in (files or {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return Place(root, variables, frozenset(range(cores)))


def test_nothing_is_known_where_there_are_no_files(tmp_path):
    examined = place(tmp_path)
    for examination in ("cores", "quota", "governor", "turbo", "smt", "swap"):
        assert getattr(processor_findings, examination)(examined).verdict == NOT_KNOWN


def test_the_kernels_notation_of_cores():
    assert cpus.numbers("0-2,8") == {0, 1, 2, 8}


@pytest.mark.parametrize(("own", "verdict"), [(4, OK), (2, LOOK)])
def test_affinity(tmp_path, own, verdict):
    found = processor_findings.cores(place(tmp_path, {f"{CPU}/online": "0-3"}, own))
    assert found.verdict == verdict
    assert ("2 of 4" in found.seen) == (verdict == LOOK)


@pytest.mark.parametrize(
    ("files", "verdict", "words"),
    [
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "max 100000"}, OK, "no limit"),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "150000 100000"}, LOOK, "1.5 cores"),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "400000 100000"}, OK, "4 cores"),
        # The limit of a group above it counts too.
        (
            {
                "proc/self/cgroup": "0::/a/b",
                "sys/fs/cgroup/a/cpu.max": "200000 100000",
                "sys/fs/cgroup/a/b/cpu.max": "max 100000",
            },
            LOOK,
            "2 cores",
        ),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/docker/x\n3:memory:/docker/x",
                "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000",
            },
            LOOK,
            "0.5 cores",
        ),
        (
            {
                "proc/self/cgroup": "4:cpu:/",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            OK,
            "no limit",
        ),
    ],
)
def test_the_quota_of_both_versions_of_control_groups(tmp_path, files, verdict, words):
    found = processor_findings.quota(place(tmp_path, files))
    assert found.verdict == verdict
    assert words in found.seen
    assert ("--threads" in found.remedy) == (verdict == LOOK)


@pytest.mark.parametrize(("name", "verdict"), [("performance", OK), ("powersave", LOOK)])
def test_the_governor(tmp_path, name, verdict):
    files = {f"{CPU}/cpu{core}/cpufreq/scaling_governor": name for core in range(2)}
    assert processor_findings.governor(place(tmp_path, files)).verdict == verdict


@pytest.mark.parametrize(
    ("files", "verdict", "words"),
    [
        ({"intel_pstate/no_turbo": "1"}, OK, ""),
        ({"intel_pstate/no_turbo": "0"}, LOOK, f"echo 1 | sudo tee /{CPU}/intel_pstate/no_turbo"),
        ({"cpufreq/boost": "0"}, OK, ""),
        ({"cpufreq/boost": "1"}, LOOK, f"echo 0 | sudo tee /{CPU}/cpufreq/boost"),
    ],
)
def test_turbo(tmp_path, files, verdict, words):
    planted = {f"{CPU}/{name}": text for name, text in files.items()}
    found = processor_findings.turbo(place(tmp_path, planted))
    assert found.verdict == verdict
    assert words in found.remedy


@pytest.mark.parametrize(("cores", "verdict"), [(4, LOOK), (2, OK)])
def test_smt_matters_where_two_threads_of_a_core_may_be_used(tmp_path, cores, verdict):
    files = {f"{CPU}/smt/active": "1"}
    files |= {
        f"{CPU}/cpu{core}/topology/thread_siblings_list": f"{core % 2},{core % 2 + 2}"
        for core in range(4)
    }
    found = processor_findings.smt(place(tmp_path, files, cores))
    assert found.verdict == verdict
    assert ("--threads 2" in found.remedy) == (verdict == LOOK)


@pytest.mark.parametrize(("free", "verdict"), [(2048, OK), (1024, LOOK)])
def test_swap_matters_once_it_is_used(tmp_path, free, verdict):
    text = f"MemTotal: 9 kB\nSwapTotal: 2048 kB\nSwapFree: {free} kB"
    found = processor_findings.swap(place(tmp_path, {"proc/meminfo": text}))
    assert found.verdict == verdict
    assert ("1 MiB are" in found.seen) == (verdict == LOOK)


def test_variables_that_change_threads_memory_or_libraries(tmp_path):
    examined = place(
        tmp_path, OMP_NUM_THREADS="1", LD_PRELOAD="x" * 99, CUDA_HOME="/usr", HOME="/", KMP_X=""
    )
    preload, threads = doctor.environment(examined)
    assert threads.seen == "OMP_NUM_THREADS=1"
    assert preload.seen == f"LD_PRELOAD={'x' * 57}..."
    assert {preload.verdict, threads.verdict} == {LOOK}
    (clean,) = doctor.environment(place(tmp_path, HOME="/"))
    assert clean.verdict == OK


class Watched:
    limits = Limits()

    def __init__(self, disturbance: Disturbance) -> None:
        self._disturbance = disturbance

    def look(self) -> None: ...

    def between(self, start, end) -> Disturbance:
        return self._disturbance


def test_other_load():
    (quiet,) = doctor.load(Watched(Disturbance(frequency=0.5)), 0)
    assert quiet.verdict == OK
    (busy,) = doctor.load(Watched(Disturbance(other_load=0.5)), 0)
    assert busy.verdict == LOOK
    assert busy.seen.startswith("other processes used 50% of the cores")


def test_a_tool_that_is_missing_says_how_to_get_it():
    def missing() -> str:
        raise BackendUnavailable("there is no C++ compiler: install one")

    found = doctor.tool("C++ compiler", missing)
    assert found.line() == "look       C++ compiler: there is no C++ compiler; install one"
    assert doctor.tool("cmake", lambda: "/bin/cmake").verdict == OK


def test_a_folder_that_cannot_be_made_is_found(tmp_path):
    assert doctor.folder("cache", tmp_path / "a" / "b").verdict == OK
    (tmp_path / "file").touch()
    found = doctor.folder("cache", tmp_path / "file" / "b")
    assert found.verdict == LOOK
    assert not (tmp_path / "a").exists()


def nvml(**answers) -> SimpleNamespace:
    """A library with one GPU, which raises its error for what is not in `answers`."""

    class NVMLError(Exception):
        pass

    def refuse(*_):
        raise NVMLError("Not Supported")

    asked = ("PersistenceMode", "ClockInfo", "MaxClockInfo", "ApplicationsClock")
    asked += ("CurrentClocksEventReasons", "ComputeRunningProcesses")
    library = {f"nvmlDeviceGet{name}": refuse for name in asked}
    for name, value in answers.items():
        library[f"nvmlDeviceGet{name}"] = lambda *_, value=value: value
    return SimpleNamespace(
        NVMLError=NVMLError,
        NVML_CLOCK_SM=1,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        **library,
    )


def verdicts(**answers) -> list[str]:
    return [finding.verdict for finding in gpu_findings.gpus(lambda: nvml(**answers))]


def test_a_gpu():
    calm = {"PersistenceMode": 1, "ClockInfo": 345, "MaxClockInfo": 1980}
    calm |= {"CurrentClocksEventReasons": 1, "ComputeRunningProcesses": []}
    assert verdicts(**calm) == [OK] * 4
    assert verdicts() == [NOT_KNOWN] * 4
    busy = {"PersistenceMode": 0, "ApplicationsClock": 1000, "CurrentClocksEventReasons": 0x40}
    busy["ComputeRunningProcesses"] = [SimpleNamespace(pid=7)]
    assert verdicts(**calm | busy) == [LOOK] * 4


def test_no_gpu_is_fine_and_a_missing_library_is_said():
    library = nvml()

    def no_driver() -> None:
        raise library.NVMLError("NVML Shared Library Not Found")

    library.nvmlInit = no_driver
    assert [each.verdict for each in gpu_findings.gpus(lambda: library)] == [OK]

    def absent() -> None:
        raise ImportError

    (found,) = gpu_findings.gpus(absent)
    assert found.line() == "not known  GPU: nvidia-ml-py is missing; pip install nvidia-ml-py"
