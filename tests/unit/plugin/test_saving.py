"""What is in a saved run, and what is left of an interrupted one."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from deploybench.errors import FileError, UsageError
from deploybench.machine import packages
from deploybench.plugin.saving import Saving
from deploybench.records import reading
from deploybench.records.record import CaseRecord
from tests.unit.plugin import MODEL, ROOT


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
    assert about["format"] == 3
    expected = {"gpu", "driver", "cuda", "cudnn", "torch", "torchvision", "threads", "weights"}
    assert expected | {"cudnn_tf32", "cudnn_benchmark", "batch_size"} <= set(about["fingerprint"])
    assert about["fingerprint"]["weights"] == "random"
    assert "python" in about["fingerprint"]


def test_a_case_records_the_packages_it_ran_on_and_no_others(saved):
    _, run = saved
    assert [bench["extra_info"]["packages"] for bench in run["benchmarks"]] == [{}, {}, {}]
    assert "openvino" not in run["machine_info"]["deploybench"]["fingerprint"]


def test_a_run_continues_only_with_the_packages_that_it_began_with(tmp_path, monkeypatch):
    begun = Saving(tmp_path, "run1", None)
    begun.begin({"threads": 2})
    ran_on = {"openvino": "2026.4.1"}
    case = CaseRecord(MODEL, "openvino", "OpenVINO", 50, (0.001,), batch_size=1, packages=ran_on)
    begun.put(MODEL, 1, {"openvino": case})
    installed = {"openvino": "2026.4.1"}
    monkeypatch.setattr(packages, "installed_version", installed.get)
    resumed = Saving(tmp_path, "run1", begun.unfinished.folder)
    resumed.begin({"threads": 2})
    assert list(resumed.taken_over) == [(MODEL, "openvino", 1)]

    installed["openvino"] = "2027.0.0"
    with pytest.raises(UsageError, match="that run was made with another openvino; start a new"):
        Saving(tmp_path, "run1", begun.unfinished.folder).begin({"threads": 2})


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda case: case["stats"].update(data=[-1.0]), "has stats.data[0] -1.0, which is not a"),
        (lambda case: case["stats"].update(data=[float("nan")]), "has stats.data[0] nan, which"),
        (lambda case: case["extra_info"].update(turns=[7]), "has turns that do not add up"),
        (lambda case: case["extra_info"].update(column="a;b"), "has extra_info.column 'a;b'"),
        (lambda case: case["extra_info"].update(first_call_ms="1"), "has first_call_ms '1'"),
        (lambda case: case.pop("params"), "is not a run of deploybench (no params.model)"),
    ],
)
def test_an_unfinished_run_is_checked_like_a_saved_run(tmp_path, edit, words):
    begun = Saving(tmp_path, "run1", None)
    begun.begin({"threads": 2})
    case = CaseRecord(MODEL, "eager", "PyTorch", 0, (0.001,), batch_size=1)
    begun.put(MODEL, 1, {"eager": case})
    (path,) = begun.unfinished.folder.glob(f"{MODEL}*")
    (written,) = json.loads(path.read_text())
    edit(written)
    path.write_text(json.dumps([written]))
    with pytest.raises(FileError) as caught:
        Saving(tmp_path, "run1", begun.unfinished.folder).begin({"threads": 2})
    assert words in str(caught.value)
    assert str(caught.value).startswith("--resume run1-")


def test_a_saved_run_says_what_failed_and_what_was_noticed(saved):
    _, run = saved
    about = run["deploybench"]
    assert [each["backend"] for each in about["failed"]] == ["wrong", "tiring", "broken"]
    assert [each["kind"] for each in about["failed"]] == ["wrong", "wrong", "failed"]
    assert about["failed"][0]["reason"].startswith("different, before timing: ")
    assert len(about["run"]) == 32
    assert about["noise"]["before"]["median"] > 0
    for bench in run["benchmarks"]:
        info = bench["extra_info"]
        assert sum(info["turns"]) == len(bench["stats"]["data"])
        assert len(info["turns"]) >= 4
        assert info["stopped_by"] in ("precision", "max_seconds")


OWN_TEST = """
def test_{number}(model, backend, batch_size, models, timed_run, record_latency):
    record_latency(timed_run.outcome(models[model], backend, batch_size))
"""
# As pytest-repeat does it: the number of the repetition is one more parameter.
REPEAT = """
import pytest

@pytest.fixture
def step(request):
    return request.param

def pytest_generate_tests(metafunc):
    metafunc.fixturenames.append("step")
    metafunc.parametrize("step", [0, 1], indirect=True)
"""


@pytest.mark.parametrize(
    ("options", "tests", "ended"),
    [
        pytest.param(
            *(["test_own.py", "test_own.py", "--keep-duplicates"], 1, "1 passed, 1 deselected"),
            marks=pytest.mark.sweep,
            id="kept duplicates",
        ),
        pytest.param(
            *(["test_own.py", "-p", "repeat"], 1, "1 passed, 1 deselected"),
            marks=pytest.mark.sweep,
            id="a plugin",
        ),
        pytest.param(["test_own.py"], 2, "2 passed", id="another test"),
    ],
)
def test_a_saved_run_holds_each_case_once_however_often_it_is_asked_for(
    run_pytest, tmp_path, options, tests, ended
):
    own = "".join(OWN_TEST.format(number=number) for number in range(tests))
    (tmp_path / "test_own.py").write_text(own)
    (tmp_path / "repeat.py").write_text(REPEAT)
    saved = tmp_path / "run.json"
    ran = run_pytest(
        *("-p", "deploybench.plugin", "-c", str(ROOT / "pytest.ini"), f"--rootdir={ROOT}"),
        *(str(tmp_path / each) if each.endswith(".py") else each for each in options),
        *(f"--models={MODEL}", "--backends=eager", "--benchmark-max-time=0"),
        f"--benchmark-json={saved}",
    )
    assert f" {ended} in" in ran.stdout
    assert [case.backend for case in reading.read(saved).cases] == ["eager"]


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


@pytest.mark.slow
def test_a_killed_run_continues_where_it_was(tmp_path):
    storage = tmp_path / "storage"
    models = f"{MODEL},squeezenet1_1"
    command = [sys.executable, "-m", "pytest", "tests/perf", "-p", "no:cacheprovider"]
    command += [f"--models={models}", "--backends=eager,scripted", "--benchmark-max-time=0.1"]
    command += [f"--benchmark-storage={storage}", "--benchmark-save=run1"]
    run_until_saved(command, storage)
    (unfinished,) = (storage / "unfinished").iterdir()
    begun = reading.read(unfinished)
    assert begun.peak is not None
    before = {case.backend: case.samples_seconds for case in begun.cases}
    assert set(before) == {"eager", "scripted"}

    command += ["--resume", unfinished.name]

    def resume(*options):
        ran = subprocess.run(
            [*command, *options], cwd=ROOT, capture_output=True, text=True, check=False
        )
        # What is wrong with the whole run is a usage error of pytest, on standard error.
        return ran.stdout + ran.stderr

    refused = resume("--batch-size=2")
    assert "that run was made with another batch_size; start a new one" in refused
    header = unfinished / "run.json"
    written = header.read_text()
    header.write_text(written.replace('"fingerprint"', '"thumbprint"'))
    assert "is not a run of deploybench (no machine_info.deploybench.fingerprint)" in resume()
    header.write_text(written)
    assert "4 passed" in resume()
    (saved,) = storage.rglob("*run1.json")
    after = {(case.model, case.backend): case.samples_seconds for case in reading.read(saved).cases}
    assert len(after) == 4
    assert {backend: after[MODEL, backend] for backend in before} == before
    assert list((storage / "unfinished").iterdir()) == []


def test_resume_needs_a_run_and_a_place_to_save_it(run_pytest, tmp_path):
    storage = f"--benchmark-storage={tmp_path}"
    none = run_pytest("tests/perf", storage, "--resume=run1", "--benchmark-save=run1")
    assert "--resume 'run1': no unfinished run in" in none.stderr
    empty = run_pytest("tests/perf", storage, "--resume=", "--benchmark-save=run1")
    assert "--resume '': no unfinished run in" in empty.stderr
    assert none.returncode == pytest.ExitCode.USAGE_ERROR


def test_a_full_disk_is_reported_in_one_line(run_pytest, tmp_path):
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
    assert "continue with --resume run1-" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr
    assert ran.returncode not in (0, 1)


@pytest.mark.slow
def test_a_run_that_stops_at_the_first_failure_can_continue(run_pytest, tmp_path):
    ran = run_pytest(
        *("tests/perf", f"--models={MODEL}", "--backends=eager,wrong,scripted", "-x"),
        *("--benchmark-save=run1", f"--benchmark-storage={tmp_path}", "--benchmark-max-time=0"),
    )
    assert "1 failed, 1 passed" in ran.stdout
    assert "continue with --resume run1-" in ran.stdout
    (unfinished,) = (tmp_path / "unfinished").iterdir()
    assert {case.backend for case in reading.read(unfinished).cases} == {"eager", "scripted"}


@pytest.mark.slow
def test_a_folder_without_locks_is_saved_to_all_the_same(run_pytest, tmp_path):
    (tmp_path / "no_locks.py").write_text(
        "import fcntl\n"
        "def flock(*_): raise OSError(37, 'No locks available')\n"
        "fcntl.flock = flock\n"
    )
    ran = run_pytest(
        *("tests/perf", "-p", "no_locks", f"--models={MODEL}", "--backends=eager"),
        *("--benchmark-save=run1", f"--benchmark-storage={tmp_path}", "--benchmark-max-time=0"),
    )
    assert "saved without a lock" in ran.stdout
    assert len(list(tmp_path.rglob("*run1.json"))) == 1
    assert ran.returncode == 0


def test_the_saved_run_has_the_options_that_repeat_it(saved):
    _, run = saved
    assert run["deploybench"]["options"] == {
        "models": MODEL,
        "backends": "eager,wrong,tiring,scripted,broken,absent,cpp",
        "benchmark-max-time": "0.01",
    }
