"""Which backend gives which model's answer: crashes are findings, and nothing is tried twice."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from deploybench.errors import FileError, UsageError
from deploybench.runner import support
from deploybench.runner.support import Finding, Survey

ROOT = Path(__file__).resolve().parents[3]

# A worker that does what each backend's name says.
WORKER = """
import json, os, signal, sys, tempfile, time
for name in sys.argv[1].split(","):
    if name == "killed":
        os.kill(os.getpid(), signal.SIGSEGV)
    if name == "hung":
        time.sleep(60)
    if name == "littering":
        open(tempfile.mkdtemp() + "/artifact", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "left":
        sys.exit(3)
    print(json.dumps({"backend": name, "outcome": "exact", "reason": ""}), flush=True)
"""


@pytest.fixture
def survey_worker(monkeypatch):
    """A function that surveys through the worker above; the findings in the order they came."""
    popen = subprocess.Popen

    def start(command, **options):
        if command == ["stay"]:
            return popen(["sleep", "60"])
        return popen([sys.executable, "-c", WORKER, command[4]], **options)

    monkeypatch.setattr(subprocess, "Popen", start)

    def survey(*backends, deadline=20.0):
        found = {}
        support.survey_model("resnet18", backends, [], deadline, found.__setitem__)
        return found

    return survey


def test_a_crash_is_a_finding_and_the_others_continue(survey_worker):
    assert survey_worker("eager", "killed", "cpp", "left", "frozen") == {
        "eager": Finding("exact"),
        "killed": Finding("crashes", "ended by SIGSEGV"),
        "cpp": Finding("exact"),
        "left": Finding("crashes", "ended with code 3"),
        "frozen": Finding("exact"),
    }


def test_a_crash_leaves_no_files_behind(survey_worker, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert survey_worker("littering", "cpp")["cpp"] == Finding("exact")
    assert list(tmp_path.iterdir()) == []


def test_what_hangs_is_ended_at_the_deadline(survey_worker):
    found = survey_worker("hung", "cpp", deadline=1.0)
    assert found["hung"] == Finding("fails", "no answer within 1 s")
    assert found["cpp"] == Finding("exact")


@pytest.mark.usefixtures("survey_worker")
def test_models_are_taken_side_by_side():
    found = {}
    due = {model: ["eager", "killed", "cpp"] for model in ("resnet18", "vgg11", "alexnet")}
    support.survey(due, [], 20.0, lambda *found_: found.update({found_[:2]: found_[2]}), 2)
    assert len(found) == 9
    assert {model for model, name in found if found[model, name].outcome == "crashes"} == set(due)


@pytest.mark.usefixtures("survey_worker")
def test_a_stopped_survey_ends_its_workers_without_a_finding():
    found = []

    def stop(*finding):
        found.append(finding)
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        support.survey({"resnet18": ["eager"], "vgg11": ["hung"]}, [], 50.0, stop, 2)
    assert time.monotonic() - began < 20
    assert found == [("resnet18", "eager", Finding("exact"))]


@pytest.mark.usefixtures("survey_worker")
def test_a_survey_that_is_stopped_leaves_the_callers_other_children_alone():
    other = subprocess.Popen(["stay"])

    def stop(*_):
        raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            support.survey({"resnet18": ["eager"], "vgg11": ["hung"]}, [], 50.0, stop, 2)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_findings_are_kept_and_conditions_held(tmp_path):
    path = tmp_path / "support.json"
    survey = Survey({"torch": "1"}, {("resnet18", "cpp"): Finding("different", "class 3")})
    survey.save(path)
    assert support.read(path, {"torch": "1"}) == survey
    assert support.read(tmp_path / "none.json", {"torch": "1"}).findings == {}
    with pytest.raises(UsageError, match="was made with another torch; remove it"):
        support.read(path, {"torch": "2"})
    path.write_text("[]")
    with pytest.raises(FileError, match="is not a survey"):
        support.read(path, {"torch": "1"})


def test_the_page_counts_and_gives_each_reason_once():
    findings = {
        ("resnet18", "eager"): Finding("exact"),
        ("resnet18", "onnxruntime"): Finding("does not export", "no | operator"),
        ("vgg11", "onnxruntime"): Finding("does not export", "no | operator"),
    }
    page = support.to_markdown(Survey({"torch": "1"}, findings), ["eager", "cpp", "onnxruntime"])
    assert "| Model | eager | onnxruntime |" in page
    assert "| vgg11 | - | does not export |" in page
    assert "| onnxruntime | 0 | 0 | 0 | 2 | 0 | 0 | 0 |" in page
    assert "- onnxruntime does not export: no \\| operator (all 2 models)" in page


@pytest.mark.slow
def test_the_tool_surveys_a_model_and_does_not_try_again(tmp_path):
    page, findings = tmp_path / "support.md", tmp_path / "support.json"
    command = [
        sys.executable,
        "tools/support.py",
        "--models=squeezenet1_1",
        "--backends=eager,cpp,",
    ]
    command[-1] += "cudagraph"
    command += ["--output", str(page), "--findings", str(findings)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "squeezenet1_1        cudagraph       skipped: a CUDA graph needs a GPU" in ran.stdout
    outcomes = {
        case["backend"]: case["outcome"] for case in json.loads(findings.read_text())["cases"]
    }
    assert outcomes == {"eager": "exact", "cpp": "exact", "cudagraph": "skipped"}
    assert "| squeezenet1_1 | exact | exact | skipped |" in page.read_text()
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "exact" not in again.stdout


def test_a_terminated_tool_ends_its_workers(tmp_path):
    command = [sys.executable, "tools/support.py", "--models=resnet18", "--backends=eager"]
    command += [f"--output={tmp_path / 'support.md'}", f"--findings={tmp_path / 'support.json'}"]
    tool = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    workers = []
    while not workers and tool.poll() is None:
        time.sleep(0.02)
        workers = psutil.Process(tool.pid).children(recursive=True)
    tool.terminate()
    assert tool.wait(timeout=30) == 143
    gone, alive = psutil.wait_procs(workers, timeout=10)
    assert (len(gone), alive) == (1, [])
