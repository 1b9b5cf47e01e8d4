"""What a user of the pytest plugin sees: ids, usage errors, verdicts, and the saved run.

Each test runs pytest in a process of its own, as users do. Faulty backends are planted through a
plugin file, which adds a folder to the backends package.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from deploybench.analysis import floor, results, stored_runs, table

ROOT = Path(__file__).resolve().parents[2]
MODEL = "shufflenet_v2_x0_5"

FAULTY = {
    # One weight off by a percent: the classes may well stay, the logits do not.
    "wrong": """
import copy, torch
from deploybench.backends.base import Backend, InProcessSession
class Wrong(Backend):
    name, title, order = "wrong", "Wrong", 90
    def load(self, module, artifact):
        module = copy.deepcopy(module)
        with torch.no_grad():
            next(module.parameters()).mul_(1.01)
        return InProcessSession(module, self.settings)
""",
    # Right for as long as it is checked beforehand, wrong when hot.
    "tiring": """
from deploybench.backends.base import Backend, InProcessSession
class Tiring(Backend):
    name, title, order = "tiring", "Tiring", 91
    def load(self, module, artifact):
        calls = []
        def forward(batch):
            calls.append(1)
            return module(batch) if len(calls) < 17 else module(batch).roll(1, dims=1)
        return InProcessSession(forward, self.settings)
""",
    # A library that gives up with an error of its own, several lines long.
    "broken": """
from deploybench.backends.base import Backend
class Broken(Backend):
    name, title, order = "broken", "Broken", 92
    def load(self, module, artifact):
        raise RuntimeError("kernel panic in layer 3\\nbacktrace: ...")
""",
    "hungry": """
import torch
from deploybench.backends.base import Backend, InProcessSession
class Hungry(Backend):
    name, title, order = "hungry", "Hungry", 94
    def load(self, module, artifact):
        def forward(batch):
            if len(batch) > 1:
                raise torch.OutOfMemoryError("no room for 2")
            return module(batch)
        return InProcessSession(forward, self.settings)
""",
    "absent": """
from deploybench.backends.base import Backend
from deploybench.errors import BackendUnavailable
class Absent(Backend):
    name, title, order = "absent", "Absent", 93
    def require(self):
        raise BackendUnavailable("absent needs gizmo, which is not here: pip install gizmo")
    def load(self, module, artifact): ...
""",
}


Run = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_with_faults(tmp_path: Path) -> Run:
    """A function that runs pytest with the faulty backends within reach."""
    folder = tmp_path / "faulty"
    folder.mkdir()
    for name, source in FAULTY.items():
        (folder / f"{name}.py").write_text(source)
    (tmp_path / "plant.py").write_text(
        f"from deploybench import backends\nbackends.__path__.append({str(folder)!r})\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    environment.pop("CI", None)

    def run(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-p", "plant", "-p", "no:cacheprovider"]
        return subprocess.run(
            [*command, *arguments],
            cwd=ROOT,
            env={**environment, **extra},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture
def run_pytest(tmp_path) -> Run:
    return pytest_with_faults(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--models=resnet19"], "unknown model 'resnet19': did you mean 'resnet1"),
        (["--models=gpt*"], "gpt*"),
        (["--backends=tensorrt"], "unknown backend 'tensorrt': "),
        (["--models="], "no model in '': allowed: names, globs, article, all, by commas"),
        (["--backends="], "unknown backend '': allowed: "),
        (["--batch-size=0"], "--batch-size '0' is not a positive whole number"),
        (["--batch-size=two"], "--batch-size 'two' is not"),
        (["--threads=-1"], "--threads '-1' is not"),
        (["--batch-size=1,,2"], "--batch-size '' is not a positive whole number"),
        (["--dtype=float8"], "--dtype 'float8' is unknown: allowed: float32, float16, bfloat16"),
        (["--tf32=yes"], "--tf32 'yes' is unknown: allowed: on, off"),
        (["--device=gpu"], "unknown device 'gpu': allowed: auto, cpu, cuda"),
        (["--device=cuda:99"], "device 'cuda:99' is not there"),
        (["--weights=pretraind"], "pretraind"),
    ],
)
def test_what_cannot_be_used_ends_the_run_before_any_test(run_pytest, arguments, words):
    ran = run_pytest("tests/perf", *arguments)
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR == 4
    assert words in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
    assert "Traceback" not in ran.stdout + ran.stderr
    assert "test session starts" not in ran.stdout


def test_ids_and_selection(run_pytest):
    ran = run_pytest("tests", "--collect-only", "-q", "--models=resnet1*,vgg11", "-k", "cpp")
    ids = [line for line in ran.stdout.splitlines() if "::" in line and "unit" not in line]
    assert ids == [
        f"tests/{test}[{model}-cpp]"
        for test in ("correctness/test_top5.py::test_top5", "perf/test_latency.py::test_latency")
        for model in ("resnet101", "resnet152", "resnet18", "vgg11")
    ]


def test_the_default_is_the_article_by_three_backends(run_pytest):
    ran = run_pytest("tests/perf", "--collect-only", "-q")
    assert "93 tests collected" in ran.stdout


def test_options_stand_in_one_group_of_the_help_and_in_pytest_ini(run_pytest, tmp_path):
    helped = run_pytest("--help").stdout
    group = helped.split("\ndeploybench:")[1].split("\n\n")[0]
    for option in ("models", "backends", "device", "weights", "batch-size", "threads"):
        assert f"--{option}=" in group
    assert "absent" in group, "a backend names itself in --help by being there"
    ini = tmp_path / "other.ini"
    ini.write_text("[pytest]\nmodels = alexnet\nbackends = eager\naddopts = -p plant\n")
    ran = run_pytest("-c", str(ini), f"--rootdir={ROOT}", "tests/perf", "--collect-only", "-q")
    assert "test_latency[alexnet-eager]" in ran.stdout
    assert "1 test collected" in ran.stdout


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run through every backend and every fault: what it printed, and what it saved."""
    folder = tmp_path_factory.mktemp("saved")
    ran = pytest_with_faults(folder)(
        "tests/perf",
        f"--models={MODEL}",
        "--backends=eager,wrong,tiring,scripted,broken,absent,cpp",
        "--benchmark-max-time=0.01",
        "--benchmark-save=run1",
        f"--benchmark-storage={folder / 'storage'}",
    )
    (path,) = (folder / "storage").rglob("*run1.json")
    return ran, json.loads(path.read_text())


def test_a_run_with_faults_fails_and_keeps_what_was_right(saved):
    ran, run = saved
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED
    assert "3 failed, 3 passed, 1 skipped" in ran.stdout
    assert [bench["params"]["backend"] for bench in run["benchmarks"]] == [
        "eager",
        "scripted",
        "cpp",
    ]


@pytest.mark.parametrize(
    "words",
    [
        "different, before timing: ",
        "different in a timed call: place 1 of input",
        f"{MODEL} through broken: RuntimeError: kernel panic in layer 3",
        "absent needs gizmo, which is not here: pip install gizmo",
    ],
)
def test_each_fault_is_said_in_one_line_without_a_traceback(saved, words):
    ran, _ = saved
    assert any(words in line for line in ran.stdout.splitlines())
    assert "Traceback" not in ran.stdout + ran.stderr
    assert "backtrace" not in ran.stdout + ran.stderr


def test_a_wrong_answer_comes_with_the_line_that_repeats_it(saved):
    ran, _ = saved
    assert (
        f'python -m pytest "tests/perf/test_latency.py::test_latency[{MODEL}-wrong]" '
        "--weights random --device auto --batch-size 1"
    ) in ran.stdout


def test_each_case_has_a_line_of_progress(saved):
    ran, _ = saved
    lines = [line for line in ran.stdout.splitlines() if line.startswith("[")]
    assert [line.split()[0] for line in lines] == [f"[{n}/7]" for n in range(1, 8)]
    assert f"{MODEL}  eager" in lines[0]
    assert " ms   20 rounds, exact" in lines[0]
    assert lines[1].endswith("failed")
    assert "skipped: absent needs gizmo" in lines[5]


def test_a_saved_case_says_what_was_measured_and_on_what(saved):
    _, run = saved
    for bench in run["benchmarks"]:
        assert bench["group"] == bench["params"]["model"] == MODEL
        assert len(bench["stats"]["data"]) == bench["stats"]["rounds"] >= 20
        info = bench["extra_info"]
        assert info["check"]["verdict"] in ("exact", "equal within rounding")
        assert info["check"]["inputs"] == 2
        assert info["check"]["margin"] > 0
        assert info["load_seconds"] > 0
        assert info["first_call_ms"] > 0
    eager, scripted, cpp = (bench["extra_info"] for bench in run["benchmarks"])
    assert eager["artifact_sha256"] is None
    assert len(scripted["artifact_sha256"]) == 64
    assert scripted["artifact_sha256"] == cpp["artifact_sha256"]
    assert scripted["artifact_bytes"] > 1_000_000
    assert scripted["export_seconds"] > 0
    titles = [info["column"] for info in (eager, scripted, cpp)]
    assert titles == ["PyTorch", "TorchScript (Python)", "TorchScript (C++)"]


def test_the_saved_clock_is_named_for_what_it_is(saved):
    _, run = saved
    assert [bench["options"]["timer"] for bench in run["benchmarks"]] == [
        "synchronized_perf_counter",
        "synchronized_perf_counter",
        "synchronized_clock_of_own_process",
    ]


def test_the_saved_run_carries_its_fingerprint(saved):
    _, run = saved
    about = run["machine_info"]["deploybench"]
    assert about["format"] == 2
    expected = {"gpu", "driver", "cuda", "cudnn", "torch", "torchvision", "threads", "weights"}
    assert expected | {"cudnn_tf32", "cudnn_benchmark", "batch_size"} <= set(about["fingerprint"])
    assert about["fingerprint"]["weights"] == "random"
    # Whatever changes the figures of some backend: the software it runs on too.
    assert {"python", "onnxscript", "onnxruntime", "openvino"} <= set(about["fingerprint"])


def test_after_the_cpp_process_died_the_next_case_gets_a_fresh_one(run_pytest, tmp_path):
    (tmp_path / "kill.py").write_text(
        "import os, signal\n"
        "from deploybench.backends._cpp_process import CppSession\n"
        "timed, sessions = CppSession.timed, []\n"
        "def fatal(session, count, include_copies=False):\n"
        "    sessions.append(session)\n"
        "    if len(sessions) == 3:\n"
        "        os.kill(session._runner.pid, signal.SIGSEGV)\n"
        "    return timed(session, count, include_copies)\n"
        "CppSession.timed = fatal\n"
    )
    ran = run_pytest(
        *("tests/perf", "-p", "kill", f"--models={MODEL},squeezenet1_1", "--backends=eager,cpp"),
        *("--benchmark-max-time=0", f"--benchmark-json={tmp_path / 'run.json'}"),
    )
    assert "1 failed, 3 passed" in ran.stdout
    assert "the C++ process was ended by SIGSEGV during 'time'; its last words: none" in ran.stdout
    saved = json.loads((tmp_path / "run.json").read_text())["benchmarks"]
    assert [tuple(bench["params"].values()) for bench in saved] == [
        (MODEL, "eager"),
        ("squeezenet1_1", "eager"),
        ("squeezenet1_1", "cpp"),
    ]


def test_strict_backends_fail_where_others_skip(run_pytest):
    case = f"tests/perf/test_latency.py::test_latency[{MODEL}-absent]"
    options = [case, f"--models={MODEL}", "--backends=absent"]
    assert run_pytest(*options).returncode == 0
    assert (
        "pip install gizmo (--strict-backends)" in run_pytest(*options, "--strict-backends").stdout
    )
    assert run_pytest(*options, CI="true").returncode == pytest.ExitCode.TESTS_FAILED


def test_timing_under_xdist_is_refused(run_pytest):
    ran = run_pytest("tests/perf", f"--models={MODEL}", "--backends=eager", "-n1")
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED
    assert "run it without -n" in ran.stdout


def test_the_correctness_gate_says_no(run_pytest, tmp_path):
    report = tmp_path / "report.xml"
    ran = run_pytest(
        "tests/correctness",
        f"--models={MODEL}",
        "--backends=eager,wrong",
        f"--junitxml={report}",
    )
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED
    assert "1 failed, 1 passed" in ran.stdout
    assert 'name="verdict: batch size 1" value="different"' in report.read_text()
    assert 'name="verdict: batch size 1" value="exact"' in report.read_text()


def test_under_xdist_a_model_stays_on_one_worker_and_the_verdicts_are_the_same(
    run_pytest, tmp_path
):
    models = f"{MODEL},squeezenet1_1"
    verdicts = {}
    for workers in ("0", "2"):
        report = tmp_path / f"{workers}.xml"
        ran = run_pytest(
            "tests/correctness",
            "-v",
            f"-n{workers}",
            f"--models={models}",
            "--backends=eager,scripted,wrong",
            "--threads=1",
            f"--junitxml={report}",
        )
        assert "2 failed, 4 passed" in ran.stdout
        cases = ElementTree.parse(report).iter("testcase")
        verdicts[workers] = {
            case.get("name"): [
                (each.get("name"), each.get("value")) for each in case.iter("property")
            ]
            for case in cases
        }
    assert verdicts["0"] == verdicts["2"]
    placed = re.findall(r"\[(gw\d)\].*test_top5\[(\w+)-", ran.stdout)
    assert len(placed) == 6
    assert len(set(placed)) == len({model for _, model in placed}) == 2


def run_until_saved(command, folder):
    """Start a run and kill it, as a power cut would, once its first model is on the disk."""
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not list(folder.rglob(f"*/{MODEL}-*.json")):
        assert process.poll() is None, "the run ended before it was to be killed"
        time.sleep(0.05)
    process.kill()
    process.wait()


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    storage = tmp_path / "storage"
    models = f"{MODEL},squeezenet1_1"
    command = [sys.executable, "-m", "pytest", "tests/perf", "-p", "no:cacheprovider"]
    command += [f"--models={models}", "--backends=eager,scripted", "--benchmark-max-time=0.1"]
    command += [f"--benchmark-storage={storage}", "--benchmark-save=run1"]
    run_until_saved(command, storage)
    (unfinished,) = (storage / "unfinished").iterdir()
    before = {case.backend: case.samples for case in results.read(unfinished).cases}
    assert set(before) == {"eager", "scripted"}

    command += ["--resume", unfinished.name]

    def resume(*options):
        ran = subprocess.run(
            [*command, *options], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return ran.stdout

    refused = resume("--batch-size=2")
    assert "that run was made with another batch_size; begin a new one" in refused
    header = unfinished / "run.json"
    written = header.read_text()
    header.write_text(written.replace('"fingerprint"', '"thumbprint"'))
    assert "it may have been edited (KeyError('fingerprint')); begin a new run" in resume()
    header.write_text(written)
    assert "4 passed" in resume()
    (saved,) = storage.rglob("*run1.json")
    after = {(case.model, case.backend): case.samples for case in results.read(saved).cases}
    assert len(after) == 4
    assert {backend: after[MODEL, backend] for backend in before} == before
    assert list((storage / "unfinished").iterdir()) == []


def test_resume_needs_a_run_and_a_place_to_save_it(run_pytest, tmp_path):
    storage = f"--benchmark-storage={tmp_path}"
    none = run_pytest("tests/perf", storage, "--resume=run1", "--benchmark-save=run1")
    assert "--resume 'run1': no unfinished run in" in none.stderr
    assert none.returncode == pytest.ExitCode.USAGE_ERROR


def test_a_full_disk_is_said_in_one_line(run_pytest, tmp_path):
    (tmp_path / "full.py").write_text(
        "from pytest_benchmark.storage.file import FileStorage\n"
        "def save(*_): raise OSError(28, 'No space left on device')\n"
        "FileStorage.save = save\n"
    )
    ran = run_pytest(
        *("tests/perf", "-p", "full", f"--models={MODEL}", "--backends=eager"),
        *("--benchmark-save=run1", f"--benchmark-storage={tmp_path / 'storage'}"),
        "--benchmark-max-time=0",
    )
    assert "the run could not be saved: [Errno 28] No space left on device" in ran.stdout
    assert "go on with --resume run1-" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr
    assert ran.returncode not in (0, 1)


def test_a_saved_run_says_what_failed_and_what_was_noticed(saved):
    _, run = saved
    about = run["deploybench"]
    assert [each["backend"] for each in about["failed"]] == ["wrong", "tiring", "broken"]
    assert about["failed"][0]["reason"].startswith("different, before timing: ")
    assert len(about["run"]) == 32
    assert about["noise"]["before"]["median"] > 0
    for bench in run["benchmarks"]:
        info = bench["extra_info"]
        assert sum(info["turns"]) == len(bench["stats"]["data"])
        assert len(info["turns"]) >= 4
        assert info["stopped_by"] in ("precision", "max_seconds")


def test_throughput_and_copies_are_conditions_of_their_own(run_pytest, tmp_path):
    saved = tmp_path / "run.json"
    ran = run_pytest(
        *("tests/perf", f"--models={MODEL}", "--backends=eager,cpp", "--metric=throughput"),
        *("--include-copies", "--benchmark-max-time=0", f"--benchmark-json={saved}"),
    )
    assert "2 passed" in ran.stdout
    about = json.loads(saved.read_text())["machine_info"]["deploybench"]["fingerprint"]
    assert (about["metric"], about["include_copies"]) == ("throughput", True)
    refused = run_pytest("tests/perf", "--metric=goodput")
    assert "--metric 'goodput' is unknown: allowed: latency, throughput" in refused.stderr


def test_axes_are_conditions_and_each_batch_size_a_case(run_pytest, tmp_path):
    saved = tmp_path / "run.json"
    ran = run_pytest(
        *("tests/perf", f"--models={MODEL}", "--backends=eager,cpp,openvino", "--batch-size=1,2"),
        *("--dtype=bfloat16", "--tf32=off", "--channels-last", "--strict-backends"),
        *("--cold-start", "--benchmark-max-time=0", f"--benchmark-json={saved}"),
    )
    assert "4 passed, 2 skipped" in ran.stdout
    reason = "skipped: openvino has no bfloat16: run it with --dtype float32"
    assert ran.stdout.count(reason) == 2
    document = json.loads(saved.read_text())
    assert [bench["params"] for bench in document["benchmarks"]] == [
        {"model": MODEL, "batch_size": size, "backend": backend}
        for size in ("1", "2")
        for backend in ("eager", "cpp")
    ]
    for bench in document["benchmarks"]:
        assert bench["extra_info"]["check"]["verdict"] != "different"
        assert bench["extra_info"]["cold_start_seconds"] > 0
        # LibTorch alone, and it and a model's weights, in bytes.
        assert 10e6 < bench["extra_info"]["cold_start_peak_bytes"] < 10e9
    about = document["machine_info"]["deploybench"]["fingerprint"]
    axes = ("batch_size", "dtype", "cudnn_tf32", "matmul_precision", "channels_last")
    assert [about[axis] for axis in axes] == ["1,2", "bfloat16", False, "highest", True]

    one, two = stored_runs.load([str(saved)])
    assert [run.fingerprint["batch_size"] for run in (one, two)] == [1, 2]
    assert [len(run.cases) for run in (one, two)] == [2, 2]
    header = table.to_rows(table.merge([one, two]))[0]
    assert header[1:3] == ["PyTorch [batch_size=1]", "PyTorch [batch_size=2]"]
    rows = floor.to_rows([one, two])
    assert [row[0] for row in rows[1:]] == [f"{MODEL} [batch_size={size}]" for size in (1, 2)]
    assert all(float(row[3]) > 1 for row in rows[1:])


def test_what_runs_out_of_memory_fails_alone(run_pytest):
    ran = run_pytest(
        *("tests/perf", f"--models={MODEL}", "--backends=hungry,eager", "--batch-size=1,2"),
        "--benchmark-max-time=0",
    )
    assert "1 failed, 3 passed" in ran.stdout
    assert f"{MODEL} through hungry: OutOfMemoryError: no room for 2" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr
